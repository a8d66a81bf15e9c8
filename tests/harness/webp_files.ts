/**
 * WebP images, as libwebp's own encoder wrote them.
 *
 * @module
 */

/** A red one of each kind, 16 pixels wide and high. */
export const RED_WEBP_FILES = {
  lossy: bytesOf(
    "UklGRjwAAABXRUJQVlA4IDAAAADQAQCdASoQABAAAgA0JaACdLoB+AADsAD+8MQL/yC5YXXI1/8gP+QH/ID/+PIAAAA=",
  ),
  lossless: bytesOf("UklGRhwAAABXRUJQVlA4TA8AAAAvD8ADAAcQ/Y/+ByKi/wEA"),
  /** Half transparent. */
  extended: bytesOf(
    "UklGRmAAAABXRUJQVlA4WAoAAAAQAAAADwAADwAAQUxQSAoAAAABB1DAiAhERP8DVlA4IDAAAADQAQCdASoQABAAAgA0JaACdLoB+AAD" +
      "sAD+8MQL/yC5YXXI1/8gP+QH/ID/+PIAAAA=",
  ),
} as const;

/** A blue one. */
export const BLUE_WEBP = bytesOf("UklGRhwAAABXRUJQVlA4TA8AAAAvD8ADAAcQ0f/+ByKi/wEA");

/** A red one, 2,048 pixels wide and high. */
export const WIDE_WEBP = bytesOf(
  "UklGRtIAAABXRUJQVlA4TMYAAAAv/8f/AQcQ/Y/+B4QEif+/m4nof8Z//vOf//znP//5z3/+85///Oc///nPf/7zn//85z//+c9//vOf//zn" +
    "P//5z3/+85///Oc///nPf/7zn//85z//+c9//vOf//znP//5z3/+85///Oc///nPf/7zn//85z//+c9//vOf//znP//5z3/+85///Oc///nP" +
    "f/7zn//85z//+c9//vOf//znP//5z3/+85///Oc///nPf/7zn//85z//+c9//vOf//znP//5vwc=",
);

/** A lossless one that claims so many pixels: a few bytes that are to become four for each. */
export function webpBomb(width: number, height: number): Uint8Array<ArrayBuffer> {
  const bytes = WIDE_WEBP.slice();
  new DataView(bytes.buffer).setUint32(21, (width - 1) | (height - 1) << 14, true);
  return bytes;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(base64);
}
