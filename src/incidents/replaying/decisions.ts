import { sha256Hex } from "../../base/mod.ts";
import type { AnswerOrder } from "../../core/answers/mod.ts";
import type { RecordedPart } from "../../ports/mod.ts";

/** Hex digits that stand for bytes. */
const HASH_CHARS = 12;

/** What a part that failed in a step is said to have ordered. */
export interface Thrown {
  readonly threw: string;
}

/** What was decided in a step, an order a line: what differs differs here, and no text of a prompt or an answer is in it. */
export function decisionsOf(part: RecordedPart, orders: unknown): readonly string[] {
  if (isThrown(orders)) return [`threw ${JSON.stringify(orders.threw)}`];
  const list: readonly unknown[] = Array.isArray(orders)
    ? orders
    : orders === undefined
    ? []
    : [orders];
  return list.map((order) => {
    const shown = part === "answer" ? withoutText(order as AnswerOrder) : order;
    return JSON.stringify(shown, part === "raft" ? withLengths : plainly) ?? "nothing";
  });
}

function isThrown(orders: unknown): orders is Thrown {
  return typeof orders === "object" && orders !== null && "threw" in orders;
}

/** Counts in the place of what was said. */
function withoutText(order: AnswerOrder): object {
  switch (order.kind) {
    case "start_run": {
      const { prompt, emittedTokens, images = [] } = order.request;
      const length = prompt.kind === "tokens" ? prompt.tokens.length : prompt.text.length;
      const run = { prompt: prompt.kind, length, images: images.length };
      return { kind: order.kind, ...run, emitted: emittedTokens.length };
    }
    case "show":
      return { kind: order.kind, tokens: order.tokens.length };
    case "end": {
      const { context, stopString: _stopString, ...report } = order.report;
      return { kind: order.kind, ...report, context: context.length };
    }
    default:
      return order;
  }
}

/** As a file has the log: commands by their lengths. */
function withLengths(key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? `${value.length} bytes` : plainly(key, value);
}

/** JSON of what has none. */
function plainly(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) {
    return `${value.length} bytes ${sha256Hex(value).slice(0, HASH_CHARS)}`;
  }
  if (value instanceof Map || value instanceof Set) return [...value];
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return value;
}

/** Kinds of orders that come all the time and tell people nothing. */
const QUIET_KINDS: ReadonlySet<unknown> = new Set([
  ...["wake_at", "read_on", "show", "accepted", "none"],
  ...["send_datagram", "send_stream", "values_changed", "persist_identity"],
]);

/** Whether a step ordered anything that people look for in an incident. */
export function isTelling({ recorded }: { readonly recorded: readonly string[] }): boolean {
  return recorded.some((text) => {
    if (!text.startsWith("{")) return true;
    const order: Readonly<Record<string, unknown>> = JSON.parse(text);
    // Of the log's orders those that come with another role or leader.
    if ("readStates" in order) return order["softState"] !== undefined;
    return !QUIET_KINDS.has(order["kind"]);
  });
}
