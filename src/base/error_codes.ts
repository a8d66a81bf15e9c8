/**
 * Every stable error code, the family it belongs to and the HTTP status it maps to. Callers and tests look at codes,
 * never at message texts. Texts follow the wire contract where it fixes them.
 */
export const ERROR_CODES = {
  // RequestError: the caller can fix it.
  invalid_request: { family: "request", status: 400 },
  invalid_model_name: { family: "request", status: 400 },
  model_required: { family: "request", status: 400 },
  model_not_found: { family: "request", status: 404 },
  unsupported_capability: { family: "request", status: 400 },
  invalid_config: { family: "request", status: 400 },
  invalid_option: { family: "request", status: 500 },
  invalid_format: { family: "request", status: 500 },
  invalid_template: { family: "request", status: 400 },
  invalid_modelfile: { family: "request", status: 400 },
  invalid_gguf: { family: "request", status: 400 },
  invalid_digest: { family: "request", status: 400 },
  digest_mismatch: { family: "request", status: 400 },
  blob_not_found: { family: "request", status: 404 },
  prompt_too_long: { family: "request", status: 400 },
  body_too_large: { family: "request", status: 413 },
  model_too_large: { family: "request", status: 500 },
  // A request from another machine without a key, or with one that opens nothing.
  unauthorized: { family: "request", status: 401 },
  // With a key that may do other things than this.
  forbidden: { family: "request", status: 403 },
  conflict: { family: "request", status: 409 },
  member_not_found: { family: "request", status: 404 },
  token_not_found: { family: "request", status: 404 },
  key_not_found: { family: "request", status: 404 },
  // What a change of the cluster names is not there.
  not_found: { family: "request", status: 404 },
  // A join that was refused; the text says why.
  join_refused: { family: "request", status: 403 },
  // A command's own arguments, and what a node said to a command.
  bad_usage: { family: "request", status: 400 },
  request_failed: { family: "request", status: 400 },
  // UnavailableError: try later or elsewhere.
  queue_full: { family: "unavailable", status: 503 },
  // A key has used up what it may ask for.
  rate_limited: { family: "unavailable", status: 429 },
  // The answer can't be whole by the time that its request names.
  deadline_unmet: { family: "unavailable", status: 503 },
  address_unusable: { family: "unavailable", status: 503 },
  sleep_failed: { family: "unavailable", status: 503 },
  node_unreachable: { family: "unavailable", status: 503 },
  stopping: { family: "unavailable", status: 503 },
  no_quorum: { family: "unavailable", status: 503 },
  // This node's log can't be trusted or followed any more; the text says why.
  fenced: { family: "unavailable", status: 503 },
  group_change_failed: { family: "unavailable", status: 503 },
  peer_lost: { family: "unavailable", status: 503 },
  runner_lost: { family: "unavailable", status: 500 },
  load_failed: { family: "unavailable", status: 500 },
  quantize_failed: { family: "unavailable", status: 500 },
  load_timeout: { family: "unavailable", status: 500 },
  // StorageError: checksum, full disk, failed sync.
  disk_full: { family: "storage", status: 503 },
  corrupt_file: { family: "storage", status: 503 },
  storage_failed: { family: "storage", status: 503 },
  data_folder_locked: { family: "storage", status: 503 },
  // PeerError: the other end sent nonsense.
  malformed_frame: { family: "peer", status: 502 },
  unknown_version: { family: "peer", status: 502 },
  peer_refused: { family: "peer", status: 502 },
  peer_stalled: { family: "peer", status: 502 },
  early_frame: { family: "peer", status: 502 },
  // An API key that opens nothing; the text says why.
  key_refused: { family: "peer", status: 401 },
  registry_failed: { family: "peer", status: 500 },
  // Where a registry sent us is no place to go; the text says why.
  address_refused: { family: "peer", status: 500 },
} as const satisfies Record<
  string,
  { family: "request" | "unavailable" | "storage" | "peer"; status: number }
>;

/** A key of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;
