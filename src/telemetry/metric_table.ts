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
/** From a nap to a weekend, in seconds. */
const SLEEP_SECONDS = [60, 600, 1_800, 3_600, 14_400, 28_800, 43_200, 86_400, 259_200];
/** Stalls of the event loop, in seconds; the first bound is what is counted as a stall. */
const STALL_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Every metric odist exports. A name that is not here is our bug. */
export const METRIC_TABLE: Readonly<Record<string, MetricRow>> = {
  odist_build: gauge("Always 1; the version is the label.", "version"),
  odist_shard_bytes_total: counter(
    "Bytes of models over several nodes: up to this node's workers and down from them, as the network carried them, and " +
      "spared ones, which the workers' nodes had already.",
    "direction",
  ),
  odist_http_requests_total: counter(
    "HTTP requests answered, by API family, route pattern and status.",
    "family",
    "route",
    "status",
  ),
  odist_http_refused_total: counter(
    "HTTP requests that were not routed: foreign_host, foreign_origin or cross_site.",
    "why",
  ),
  odist_http_connections: gauge("Open connections of HTTP clients."),
  odist_http_connections_ended_total: counter(
    "HTTP connections ended by this node: all_taken, address_has_its_share, headers_late, " +
      "body_stalled, body_unread, idle or reader_stuck.",
    "why",
  ),
  odist_http_request_duration_seconds: histogram(
    ANSWER_SECONDS,
    "Seconds from a request's arrival to the last byte of its answer.",
    "family",
    "route",
  ),
  odist_time_to_first_token_seconds: histogram(
    ANSWER_SECONDS,
    "Seconds from a request's arrival to the first output of a streamed answer.",
    "family",
  ),
  odist_prompt_tokens_total: counter(
    "Prompt tokens of complete answers, reused ones included.",
    "family",
  ),
  odist_prompt_tokens_cached_total: counter(
    "Prompt tokens of complete answers that were computed before, for another request, by where they came from.",
    "family",
    "source",
  ),
  odist_prompt_prefixes_total: counter(
    "Prompts of complete answers, by why no more of them was reused.",
    "end",
  ),
  odist_generated_tokens_total: counter("Tokens generated in complete answers.", "family"),
  odist_drafted_tokens_total: counter(
    "Tokens computed ahead of complete answers because they were said before.",
    "family",
  ),
  odist_drafted_tokens_accepted_total: counter(
    "Of the tokens computed ahead, those that were then drawn.",
    "family",
  ),
  odist_queue_requests: gauge("Requests waiting for a model to load or for a slot."),
  odist_queue_oldest_seconds: gauge(
    "How long the request has waited that has waited longest for a load or a slot; 0 when none waits.",
  ),
  odist_queue_wait_seconds: histogram(
    ANSWER_SECONDS,
    "Seconds from asking for a slot to holding it, loads included.",
  ),
  odist_slots_granted_total: counter(
    "Slots that requests of this node's clients were given: here or elsewhere.",
    "where",
  ),
  odist_slots: gauge("Slots of the loaded models, by state: busy or free.", "state"),
  odist_running_requests: gauge("Requests that hold a slot."),
  odist_loaded_models: gauge("Models loaded in runners."),
  odist_model_load_seconds: histogram(ANSWER_SECONDS, "Seconds a successful model load took."),
  odist_model_load_failures_total: counter("Model loads that failed."),
  odist_runner_deaths_total: counter("Runners that ended without being told to."),
  odist_answers_begun_total: counter(
    "Answers by whether they are exact: yes, no, or unknown of a node that can't tell.",
    "exact",
  ),
  odist_answers_left_class_total: counter(
    "Exact answers that went on where other figures are computed, as no node of their class was left.",
  ),
  odist_exact_proof_seconds: histogram(
    ANSWER_SECONDS,
    "Seconds it took to prove how a model is computed exactly; nothing at loads that knew it.",
  ),
  odist_answers_resumed_total: counter(
    "Answers continued from their journals after a runner died.",
  ),
  odist_cells_moves_total: counter(
    "What other nodes were asked for that they had computed: moved, declined (they had nothing, or to compute it was sooner) or " +
      "failed.",
    "outcome",
  ),
  odist_cells_sent_bytes_total: counter("Bytes of computed prefixes sent to other nodes."),
  odist_blob_bytes_sent_total: counter("Bytes of blobs sent to other nodes."),
  odist_blob_bytes_received_total: counter("Bytes of blobs received from other nodes."),
  odist_peer_blob_faults_total: counter(
    "Times a node did something else than send the bytes of a blob that it was asked for.",
    "peer",
    "fault",
  ),
  odist_broken_words_total: counter(
    "Times a node could not answer with a model that it says it holds, by reason.",
    "peer",
    "reason",
  ),
  odist_gossip_values_refused_total: counter(
    "Values of a node's own that made no sense, such as figures out of range.",
    "peer",
  ),
  odist_peer_blobs_corrupt_total: counter(
    "Blobs of other nodes that turned out to be something else.",
  ),
  odist_peer_streams_refused_total: counter(
    "Streams of other nodes that were refused or cut, by purpose and reason.",
    "purpose",
    "reason",
  ),
  odist_peer_connections_total: counter(
    "Connections to other members that came into use, by who dialed.",
    "direction",
  ),
  odist_peer_dials_total: counter(
    "Attempts to connect to another member, by what came of them.",
    "outcome",
  ),
  odist_peer_sends_failed_total: counter(
    "Frames and datagrams to other members that were dropped, by channel.",
    "what",
  ),
  odist_peer_faults_total: counter(
    "Connections ended because the peer broke the protocol or could not prove itself.",
    "fault",
  ),
  odist_models: gauge(
    "Models of the cluster by their copies, as this node sees them: awake (some node that is up holds it), asleep (only " +
      "machines that can be woken do), unwakeable (only machines that sleep and can't be), or none.",
    "copies",
  ),
  odist_disk_free_bytes: gauge(
    "Free room of the disk that the models lie on, as of the last time that metrics were asked for.",
  ),
  odist_memory_available_bytes: gauge("Memory that models may still be loaded into."),
  odist_device_memory_bytes: gauge(
    "Memory of each device that models are computed on beside the cores, by state: used (by models and other programs) or free. " +
      "Both are 0 of a device that was there and is gone.",
    "device",
    "state",
  ),
  odist_clock_timestamp_seconds: gauge("This node's clock at the moment it was asked, Unix time."),
  odist_certificate_expiry_timestamp_seconds: gauge(
    "When the first of the node's certificates expires, Unix time.",
  ),
  odist_process_resident_bytes: gauge("Resident memory of the node process, runners apart."),
  odist_process_heap_bytes: gauge("JavaScript heap in use in the node process."),
  odist_process_uptime_seconds: gauge("Seconds since the node process started."),
  odist_event_loop_stall_seconds: histogram(
    STALL_SECONDS,
    "Stalls of the event loop longer than 50 ms.",
  ),
  odist_members: gauge(
    "Members of the cluster as this node sees them, itself included.",
    "standing",
  ),
  odist_members_asleep: gauge("Members that said they would sleep, and were not heard since."),
  odist_sleeping: gauge("1 from when this node said that it sleeps until it is a member again."),
  odist_sleep_seconds: histogram(
    SLEEP_SECONDS,
    "Seconds that this machine slept, by its own clock, each time that its node had put it to sleep.",
  ),
  odist_sleeps_failed_total: counter(
    "Times that this machine was put to sleep by its node and did not sleep.",
  ),
  odist_wake_seconds: histogram(
    ANSWER_SECONDS,
    "Seconds until a machine that this node had woken was a member again.",
  ),
  odist_wakes_failed_total: counter(
    "Machines that did not wake in time, or that nobody could wake.",
  ),
  odist_membership_messages_total: counter("Messages of gossip and probes.", "direction", "kind"),
  odist_membership_bytes_total: counter(
    "Bytes of gossip and probes, without headers of QUIC and UDP.",
    "direction",
    "kind",
  ),
  odist_membership_refused_total: counter(
    "Messages of gossip and probes that were not taken.",
    "reason",
  ),
  odist_group_changes_total: counter(
    "Changes of the log's voters and learners that this node proposed while it led.",
    "why",
  ),
  odist_joins_total: counter(
    "Strangers that asked this node to let them into the cluster.",
    "outcome",
  ),
  odist_membership_refutations_total: counter("Times this node contradicted word of its death."),
  odist_membership_lies_total: counter(
    "Statements about members that can't be true, by who made them: boots of the future, incarnations nobody had.",
    "peer",
  ),
  odist_raft_term: gauge("Term of the log's group."),
  odist_raft_leading: gauge("1 while this node leads the group."),
  odist_raft_leader_known: gauge("1 while this node knows who leads the group."),
  odist_raft_takes_changes: gauge("1 while the group has a leader and a quorum that answers."),
  odist_raft_voters: gauge("Voters of the group, as gossip sees them: up or down.", "state"),
  odist_raft_committed_index: gauge("Index of the last entry that the group has decided on."),
  odist_raft_applied_index: gauge("Index of the last entry that this node's catalogue holds."),
  odist_raft_leader_changes_total: counter("Times this node learned of another leader."),
  odist_raft_refused_total: counter(
    "Messages of the group that were not obeyed, by who sent them: malformed, of terms no election led to, of " +
      "kinds the sender has no say in, or too many at once.",
    "peer",
  ),
  odist_raft_fenced: gauge(
    "1 when this node's log can't be trusted or followed; it neither votes nor serves the catalogue.",
  ),
};

function counter(help: string, ...labels: readonly string[]): MetricRow {
  return { kind: "counter", help, labels };
}

function gauge(help: string, ...labels: readonly string[]): MetricRow {
  return { kind: "gauge", help, labels };
}

/** `buckets`: upper bounds, rising. */
function histogram(
  buckets: readonly number[],
  help: string,
  ...labels: readonly string[]
): MetricRow {
  return { kind: "histogram", help, labels, buckets };
}
