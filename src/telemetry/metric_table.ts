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
  odist_queue_wait_seconds: {
    kind: "histogram",
    help: "Seconds from admission until a slot is held.",
    labels: [],
    buckets: ANSWER_SECONDS,
  },
  odist_queue_refused_total: {
    kind: "counter",
    help: "Requests refused because the queue was full.",
    labels: [],
  },
  odist_slots_busy: { kind: "gauge", help: "Slots that run a request.", labels: [] },
  odist_loaded_models: { kind: "gauge", help: "Models loaded in runners.", labels: [] },
  odist_loaded_model_bytes: {
    kind: "gauge",
    help: "Memory of all loaded models, as the engine reports it.",
    labels: [],
  },
  odist_model_loads_total: {
    kind: "counter",
    help: "Model loads by outcome: loaded or failed.",
    labels: ["outcome"],
  },
  odist_model_load_seconds: {
    kind: "histogram",
    help: "Seconds a successful model load took.",
    labels: [],
    buckets: ANSWER_SECONDS,
  },
  odist_model_evictions_total: {
    kind: "counter",
    help: "Models unloaded to make room or because they were idle.",
    labels: ["reason"],
  },
  odist_runner_restarts_total: {
    kind: "counter",
    help: "Runners started again because one had died.",
    labels: [],
  },
  odist_requests_resumed_total: {
    kind: "counter",
    help: "Answers continued from their journals after a runner died.",
    labels: [],
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
};
