declare const brand: unique symbol;

/** A value of type `T` that can't be confused with another kind of `T`. Costs nothing at run time. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A node, stable over restarts: 16 lower-case hex digits. */
export type NodeId = Branded<string, "NodeId">;
/** `sha256:` and 64 lower-case hex digits. */
export type Digest = Branded<string, "Digest">;
/** A member's own counter, >= 0; only the member itself raises it. */
export type Incarnation = Branded<number, "Incarnation">;

const DIGEST_PATTERN = /^sha256[:-][0-9a-f]{64}$/;

/** Takes `sha256:<hex>` or `sha256-<hex>`; returns the `:` form, or undefined when it is neither. */
export function parseDigest(text: string): Digest | undefined {
  if (!DIGEST_PATTERN.test(text)) return undefined;
  return `sha256:${text.slice(7)}` as Digest;
}

const HASH_PATTERN = /^[0-9a-f]{64}$/;

/** Whether `text` is a SHA-256 in lower-case hex, without a prefix. */
export function isHashHex(text: string): boolean {
  return HASH_PATTERN.test(text);
}

/** Characters of a {@link isTraceparent} text. */
export const TRACEPARENT_CHARS = 55;

/** Version, trace, span, flags. Of the first version alone: what a later one adds is not read. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Whose request a log line is about. */
export interface RequestIds {
  /** As its answer carries it; of requests that no client asked for, as the node has drawn it. */
  readonly requestId: string;
  readonly traceId?: string;
}

/** Whether a text names a place in a trace, as the W3C's Trace Context has it. */
export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text);
}

/** The place a text names; undefined when it names none. `flags`: bit 0 = it is to be recorded. */
export function parseTraceparent(
  text: string | undefined,
): { readonly traceId: string; readonly spanId: string; readonly flags: number } | undefined {
  const [, traceId, spanId, flags = ""] = TRACEPARENT.exec(text ?? "") ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

/** By which a request is found in logs of any node. */
export function requestIdsOf(
  { requestId, label, traceparent }: {
    readonly requestId: string;
    readonly label?: string | undefined;
    readonly traceparent?: string | undefined;
  },
): RequestIds {
  const traceId = parseTraceparent(traceparent)?.traceId;
  return { requestId: label ?? requestId, ...(traceId === undefined ? {} : { traceId }) };
}
