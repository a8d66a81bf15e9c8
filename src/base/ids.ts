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
