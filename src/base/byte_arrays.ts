/** Two lower-case hex digits a byte. */
export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Same length, same bytes. Takes longer the later they differ: not for secrets. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** All parts in their order. A single part is returned itself, uncopied: large ones mostly come alone. */
export function joinBytes(
  parts: readonly [Uint8Array, Uint8Array, ...Uint8Array[]],
): Uint8Array<ArrayBuffer>;
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array;
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const whole = new Uint8Array(parts.reduce((count, part) => count + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
