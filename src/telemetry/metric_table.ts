/** One metric: what it counts, in which unit, under which labels. */
export interface MetricRow {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, rising. */
  readonly buckets?: readonly number[];
}

/** From a cached one-token answer to a long answer of a slow machine, in seconds. */
const ANSWER_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** Stalls of the event loop, in seconds; the first bound is what is counted as a stall. */
const STALL_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Every metric odist exports. A name that is not here is our bug. */
export const METRIC_TABLE: Readonly<Record<string, MetricRow>> = {
  odist_build: {
    kind: "gauge",
    help: "Always 1; the version is the label.",
    labels: ["version"],
  },
  odist_http_requests_total: {
    kind: "counter",
    help: "HTTP requests answered, by API family, route pattern and status.",
    labels: ["family", "route", "status"],
  },
  odist_http_refused_total: {
    kind: "counter",
    help: "HTTP requests that were not routed: foreign_host, foreign_origin or cross_site.",
    labels: ["why"],
  },
  odist_http_connections: {
    kind: "gauge",
    help: "Open connections of HTTP clients.",
    labels: [],
  },
  odist_http_connections_ended_total: {
    kind: "counter",
    help: "HTTP connections ended by this node: all_taken, address_has_its_share, headers_late, " +
      "body_stalled, body_unread, idle or reader_stuck.",
    labels: ["why"],
  },
  odist_http_request_duration_seconds: {
    kind: "histogram",
    help: "Seconds from a request's arrival to the last byte of its answer.",
    labels: ["family", "route"],
    buckets: ANSWER_SECONDS,
  },
  odist_time_to_first_token_seconds: {
    kind: "histogram",
    help: "Seconds from a request's arrival to the first output of a streamed answer.",
    labels: ["family"],
    buckets: ANSWER_SECONDS,
  },
  odist_prompt_tokens_total: {
    kind: "counter",
    help: "Prompt tokens of complete answers, reused ones included.",
    labels: ["family"],
  },
  odist_generated_tokens_total: {
    kind: "counter",
    help: "Tokens generated in complete answers.",
    labels: ["family"],
  },
  odist_queue_requests: {
    kind: "gauge",
    help: "Requests waiting for a model to load or for a slot.",
    labels: [],
  },
  odist_running_requests: { kind: "gauge", help: "Requests that hold a slot.", labels: [] },
  odist_loaded_models: { kind: "gauge", help: "Models loaded in runners.", labels: [] },
  odist_model_load_seconds: {
    kind: "histogram",
    help: "Seconds a successful model load took.",
    labels: [],
    buckets: ANSWER_SECONDS,
  },
  odist_runner_deaths_total: {
    kind: "counter",
    help: "Runners that ended without being told to.",
    labels: [],
  },
  odist_answers_resumed_total: {
    kind: "counter",
    help: "Answers continued from their journals after a runner died.",
    labels: [],
  },
  odist_blob_bytes_sent_total: {
    kind: "counter",
    help: "Bytes of blobs sent to other nodes.",
    labels: [],
  },
  odist_blob_bytes_received_total: {
    kind: "counter",
    help: "Bytes of blobs received from other nodes.",
    labels: [],
  },
  odist_peer_blob_faults_total: {
    kind: "counter",
    help: "Times a node did something else than send the bytes of a blob that it was asked for.",
    labels: ["peer", "fault"],
  },
  odist_broken_words_total: {
    kind: "counter",
    help: "Times a node could not answer with a model that it says it holds, by reason.",
    labels: ["peer", "reason"],
  },
  odist_gossip_values_refused_total: {
    kind: "counter",
    help: "Values of a node's own that made no sense, such as figures out of range.",
    labels: ["peer"],
  },
  odist_peer_blobs_corrupt_total: {
    kind: "counter",
    help: "Blobs of other nodes that turned out to be something else.",
    labels: [],
  },
  odist_peer_streams_refused_total: {
    kind: "counter",
    help: "Streams of other nodes that were refused or cut, by purpose and reason.",
    labels: ["purpose", "reason"],
  },
  odist_peer_connections_total: {
    kind: "counter",
    help: "Connections to other members that came into use, by who dialed.",
    labels: ["direction"],
  },
  odist_peer_dials_total: {
    kind: "counter",
    help: "Attempts to connect to another member, by what came of them.",
    labels: ["outcome"],
  },
  odist_peer_sends_failed_total: {
    kind: "counter",
    help: "Frames and datagrams to other members that were dropped, by channel.",
    labels: ["what"],
  },
  odist_peer_faults_total: {
    kind: "counter",
    help: "Connections ended because the peer broke the protocol or could not prove itself.",
    labels: ["fault"],
  },
  odist_process_resident_bytes: {
    kind: "gauge",
    help: "Resident memory of the node process, runners apart.",
    labels: [],
  },
  odist_process_heap_bytes: {
    kind: "gauge",
    help: "JavaScript heap in use in the node process.",
    labels: [],
  },
  odist_process_uptime_seconds: {
    kind: "gauge",
    help: "Seconds since the node process started.",
    labels: [],
  },
  odist_event_loop_stall_seconds: {
    kind: "histogram",
    help: "Stalls of the event loop longer than 50 ms.",
    labels: [],
    buckets: STALL_SECONDS,
  },
  odist_members: {
    kind: "gauge",
    help: "Members of the cluster as this node sees them, itself included.",
    labels: ["standing"],
  },
  odist_membership_messages_total: {
    kind: "counter",
    help: "Messages of gossip and probes.",
    labels: ["direction", "kind"],
  },
  odist_membership_bytes_total: {
    kind: "counter",
    help: "Bytes of gossip and probes, without headers of QUIC and UDP.",
    labels: ["direction", "kind"],
  },
  odist_membership_refused_total: {
    kind: "counter",
    help: "Messages of gossip and probes that were not taken.",
    labels: ["reason"],
  },
  odist_group_changes_total: {
    kind: "counter",
    help: "Changes of the log's voters and learners that this node proposed while it led.",
    labels: ["why"],
  },
  odist_joins_total: {
    kind: "counter",
    help: "Strangers that asked this node to let them into the cluster.",
    labels: ["outcome"],
  },
  odist_membership_refutations_total: {
    kind: "counter",
    help: "Times this node contradicted word of its death.",
    labels: [],
  },
  odist_membership_lies_total: {
    kind: "counter",
    help:
      "Statements about members that can't be true, by who made them: boots of the future, incarnations nobody had.",
    labels: ["peer"],
  },
  odist_raft_term: { kind: "gauge", help: "Term of the log's group.", labels: [] },
  odist_raft_leading: { kind: "gauge", help: "1 while this node leads the group.", labels: [] },
  odist_raft_leader_changes_total: {
    kind: "counter",
    help: "Times this node learned of another leader.",
    labels: [],
  },
  odist_raft_refused_total: {
    kind: "counter",
    help:
      "Messages of the group that were not obeyed, by who sent them: malformed, of terms no election led to, of " +
      "kinds the sender has no say in, or too many at once.",
    labels: ["peer"],
  },
  odist_raft_fenced: {
    kind: "gauge",
    help:
      "1 when this node's log can't be trusted or followed; it neither votes nor serves the catalogue.",
    labels: [],
  },
};
