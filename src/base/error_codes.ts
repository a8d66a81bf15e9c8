/** Why an error has no command that mends it or shows what would. */
const FIELD = "the text names what was sent, and what is wanted";
const FILE = "what was sent must be another file, or sent again";
const MOVED = "the text says what changed meanwhile, and whose choice it is";
const OTHER = "another program's fault; its own text says what it was";
const AGAIN = "asking again is enough";

/**
 * Every stable error code, the family it belongs to, the HTTP status it maps to, and the command line that mends it or shows
 * what would (words in capitals are the reader's to fill in), or why there is none. Callers and tests look at codes,
 * never at message texts. Texts follow the wire contract where it fixes them.
 */
export const ERROR_CODES = {
  // RequestError: the caller can fix it.
  invalid_request: { family: "request", status: 400, noCommand: FIELD },
  invalid_model_name: { family: "request", status: 400, noCommand: FIELD },
  model_required: { family: "request", status: 400, command: "odist list" },
  model_not_found: { family: "request", status: 404, command: "odist list" },
  unsupported_capability: { family: "request", status: 400, command: "odist show MODEL" },
  invalid_config: { family: "request", status: 400, command: "odist config" },
  invalid_option: { family: "request", status: 500, noCommand: FIELD },
  invalid_format: { family: "request", status: 500, noCommand: FIELD },
  invalid_template: { family: "request", status: 400, noCommand: FIELD },
  invalid_modelfile: { family: "request", status: 400, noCommand: FIELD },
  invalid_gguf: { family: "request", status: 400, noCommand: FILE },
  invalid_digest: { family: "request", status: 400, noCommand: FIELD },
  digest_mismatch: { family: "request", status: 400, noCommand: FILE },
  blob_not_found: { family: "request", status: 404, noCommand: FILE },
  prompt_too_long: { family: "request", status: 400, noCommand: FIELD },
  body_too_large: { family: "request", status: 413, command: "odist config" },
  model_too_large: { family: "request", status: 500, command: "odist plan MODEL" },
  // A request from another machine without a key, or with one that opens nothing.
  unauthorized: { family: "request", status: 401, command: "odist key create" },
  // With a key that may do other things than this.
  forbidden: { family: "request", status: 403, command: "odist key list" },
  conflict: { family: "request", status: 409, noCommand: MOVED },
  member_not_found: { family: "request", status: 404, command: "odist members" },
  token_not_found: { family: "request", status: 404, command: "odist token list" },
  key_not_found: { family: "request", status: 404, command: "odist key list" },
  // What a change of the cluster names is not there.
  not_found: { family: "request", status: 404, noCommand: FIELD },
  // A join that was refused; the text says why.
  join_refused: { family: "request", status: 403, command: "odist token create" },
  // A command's own arguments, and what a node said to a command.
  bad_usage: { family: "request", status: 400, command: "odist --help" },
  request_failed: { family: "request", status: 400, noCommand: OTHER },
  // UnavailableError: try later or elsewhere.
  queue_full: { family: "unavailable", status: 503, command: "odist top" },
  // A key has used up what it may ask for.
  rate_limited: { family: "unavailable", status: 429, command: "odist key list" },
  // The answer can't be whole by the time that its request names.
  deadline_unmet: { family: "unavailable", status: 503, command: "odist top" },
  address_unusable: { family: "unavailable", status: 503, command: "odist config" },
  sleep_failed: { family: "unavailable", status: 503, command: "odist doctor" },
  node_unreachable: { family: "unavailable", status: 503, command: "odist serve" },
  stopping: { family: "unavailable", status: 503, noCommand: AGAIN },
  no_quorum: { family: "unavailable", status: 503, command: "odist status" },
  // This node's log can't be trusted or followed any more; the text says why.
  fenced: { family: "unavailable", status: 503, command: "odist status" },
  group_change_failed: { family: "unavailable", status: 503, command: "odist status" },
  peer_lost: { family: "unavailable", status: 503, noCommand: AGAIN },
  runner_lost: { family: "unavailable", status: 500, command: "odist logs" },
  load_failed: { family: "unavailable", status: 500, command: "odist doctor" },
  quantize_failed: { family: "unavailable", status: 500, command: "odist logs" },
  load_timeout: { family: "unavailable", status: 500, command: "odist doctor" },
  // StorageError: checksum, full disk, failed sync.
  disk_full: { family: "storage", status: 503, command: "odist rm MODEL" },
  corrupt_file: { family: "storage", status: 503, command: "odist pull MODEL" },
  storage_failed: { family: "storage", status: 503, command: "odist doctor" },
  data_folder_locked: { family: "storage", status: 503, command: "odist status" },
  // PeerError: the other end sent nonsense.
  malformed_frame: { family: "peer", status: 502, noCommand: OTHER },
  unknown_version: { family: "peer", status: 502, command: "odist version" },
  peer_refused: { family: "peer", status: 502, command: "odist logs" },
  peer_stalled: { family: "peer", status: 502, noCommand: AGAIN },
  early_frame: { family: "peer", status: 502, noCommand: OTHER },
  // An API key that opens nothing; the text says why.
  key_refused: { family: "peer", status: 401, command: "odist key create" },
  registry_failed: { family: "peer", status: 500, noCommand: OTHER },
  // Where a registry sent us is no place to go; the text says why.
  address_refused: { family: "peer", status: 500, noCommand: OTHER },
} as const satisfies Record<
  string,
  & { family: "request" | "unavailable" | "storage" | "peer"; status: number }
  & ({ command: `odist ${string}`; noCommand?: never } | { command?: never; noCommand: string })
>;

/** A key of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;
