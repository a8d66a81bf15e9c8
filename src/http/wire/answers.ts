import { errorMessage, isEdgeError, UnavailableError } from "../../base/mod.ts";
import type { ShardRow } from "../../ports/mod.ts";

/** What every JSON answer says it is. */
export const JSON_CONTENT_TYPE = "application/json; charset=utf-8";
/** As OpenAI's own API says it, and clients compare it. */
export const PLAIN_JSON_CONTENT_TYPE = "application/json";
const TEXT_CONTENT_TYPE = "text/plain; charset=utf-8";
/** Longer texts quote what the client sent, which it knows already. */
const MESSAGE_CHARS_MAX = 2000;
/** What a cancelled request is answered with; by then the client is usually gone. */
const STATUS_CANCELED = 499;

/** A JSON answer; keys whose value is undefined are left out. */
export function jsonAnswer(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": JSON_CONTENT_TYPE },
  });
}

/** As {@link jsonAnswer}, under {@link PLAIN_JSON_CONTENT_TYPE}. */
export function plainJsonAnswer(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": PLAIN_JSON_CONTENT_TYPE },
  });
}

/** A plain text answer. */
export function textAnswer(text: string): Response {
  return new Response(text, { headers: { "content-type": TEXT_CONTENT_TYPE } });
}

/** What unknown paths and wrong methods get (contract 1.0). */
export function unroutedAnswer(text: string, status: 404 | 405): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain" } });
}

/** Who computes which layers of a model that several nodes compute. */
export function shardShape(shard: ShardRow): object {
  return {
    node: shard.name,
    ...wireFields(shard, ["firstLayer", "layerCount", "memoryBytes", "device"]),
  };
}

/** An error in the terms every API family needs to word it. */
export interface Failure {
  readonly status: number;
  /** Safe to show to the caller. */
  readonly message: string;
  /** Seconds for the `Retry-After` header, or undefined. */
  readonly retryAfterSeconds: number | undefined;
  /** The command line that mends it or shows what would, or undefined. */
  readonly command?: string | undefined;
  /** True for an error no one foresaw: our bug, to be logged with its stack. */
  readonly unforeseen: boolean;
  /** Under which the request is logged; absent where none was begun. */
  readonly requestId?: string;
}

/** Sorts anything thrown. `signal` is the request's own: once it is aborted, whatever was thrown is a cancellation. */
export function describeFailure(error: unknown, signal: AbortSignal): Failure {
  const plain = { retryAfterSeconds: undefined, unforeseen: false };
  if (isEdgeError(error)) {
    const retryAfterMs = error instanceof UnavailableError ? error.retryAfterMs : undefined;
    return {
      ...plain,
      status: error.status,
      message: shortened(errorMessage(error)),
      command: error.command,
      retryAfterSeconds: retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs / 1000),
    };
  }
  if (signal.aborted) return { ...plain, status: STATUS_CANCELED, message: "request canceled" };
  return {
    ...plain,
    status: 500,
    message: "internal error",
    unforeseen: true,
    command: "odist logs",
  };
}

/** Has the command line that mends a failure or shows what would; the bodies are those of other APIs, and have no place for it. */
const COMMAND_HEADER = "x-odist-command";

/** The answer, which says when to try again and what to do where the failure knows it. */
export function withRetry(response: Response, { retryAfterSeconds, command }: Failure): Response {
  if (command !== undefined) response.headers.set(COMMAND_HEADER, command);
  if (retryAfterSeconds !== undefined) {
    response.headers.set("retry-after", String(retryAfterSeconds));
  }
  return response;
}

function shortened(message: string): string {
  return message.length <= MESSAGE_CHARS_MAX
    ? message
    : `${message.slice(0, MESSAGE_CHARS_MAX)}...`;
}

/** The named fields, under the names that JSON has for them: `nodeId` is `node_id`. */
export function wireFields<T extends object>(
  from: T,
  names: readonly (keyof T & string)[],
): object {
  return Object.fromEntries(names.map((name) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    from[name],
  ]));
}
