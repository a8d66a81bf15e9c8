import { ERROR_CODES, type ErrorCode } from "./error_codes.ts";

/** Codes of one family, so that a class can't be built with a code of another. */
type CodeOf<Family extends string> = {
  [Code in ErrorCode]: (typeof ERROR_CODES)[Code]["family"] extends Family ? Code : never;
}[ErrorCode];

/** A failure with a stable code and a text that is safe to show to the caller. */
abstract class CodedError<Code extends ErrorCode> extends Error {
  readonly code: ErrorCode;
  /** HTTP status the edge answers with, 400..599; the code's own unless the contract fixes another for this case. */
  readonly status: number;
  /** The command line that mends it or shows what would, where there is one that `message` does not name already. */
  readonly command: string | undefined;
  constructor(
    code: Code,
    message: string,
    /** `command` instead of the code's own, where this case has another one; empty for none. */
    options: { cause?: unknown; status?: number; command?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? ERROR_CODES[code].status;
    const command = options.command ?? commandOf(code) ?? "";
    this.command = command === "" || NAMES_COMMAND.test(message) ? undefined : command;
  }
}

const NAMES_COMMAND = /\bodist [a-z-]/;

function commandOf(code: ErrorCode): string | undefined {
  const row = ERROR_CODES[code];
  return "command" in row ? row.command : undefined;
}

/** Whether a command line is one that this program gives with an error: of others nobody knows what they do. */
export function isErrorCommand(command: string): boolean {
  return Object.values(ERROR_CODES).some((row) => "command" in row && row.command === command);
}

/**
 * Our bug. It ends the part it belongs to, never the data: the group fences itself, membership stops the node, the
 * scheduler starts over, a request fails; where nobody owns it, the process exits. Always as an error in the log.
 */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  constructor(message: string, values: Readonly<Record<string, unknown>> = {}) {
    const shown = Object.entries(values).map(([key, value]) => `${key}=${String(value)}`).join(" ");
    super(shown === "" ? message : `${message}: ${shown}`);
  }
}

/** The caller can fix it; nothing was changed. */
export class RequestError extends CodedError<CodeOf<"request">> {
  override readonly name = "RequestError";
}

/** The refusal of a field that can't be honoured; `message` says what is wanted, and what came. */
export function invalidRequest(message: string): RequestError {
  return new RequestError("invalid_request", message);
}

/** Try later or elsewhere; nothing was changed. */
export class UnavailableError extends CodedError<CodeOf<"unavailable">> {
  override readonly name = "UnavailableError";
  /** Milliseconds after which a retry makes sense; undefined when unknown. */
  readonly retryAfterMs: number | undefined;
  constructor(
    code: CodeOf<"unavailable">,
    message: string,
    options: { cause?: unknown; status?: number; retryAfterMs?: number } = {},
  ) {
    super(code, message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Checksum, full disk, failed sync. A bad blob fails one model; a bad log fences the node. */
export class StorageError extends CodedError<CodeOf<"storage">> {
  override readonly name = "StorageError";
}

/** A peer, runner or registry sent nonsense or speaks another version. */
export class PeerError extends CodedError<CodeOf<"peer">> {
  override readonly name = "PeerError";
}

/** What the log tells of a bug: where it showed, and with which values. */
export function bugReport(error: unknown): { readonly reason: string; readonly stack: string } {
  const stack = error instanceof Error ? error.stack ?? "" : "";
  return { reason: errorMessage(error), stack };
}

/** Any of the four families that reach an edge. */
export type EdgeError = RequestError | UnavailableError | StorageError | PeerError;

/** True for errors that carry a stable code. */
export function isEdgeError(error: unknown): error is EdgeError {
  return error instanceof CodedError;
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
