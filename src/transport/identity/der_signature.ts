import { SIGNATURE_BYTES } from "../../protocol/mod.ts";

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const HALF = SIGNATURE_BYTES / 2;

/** WebCrypto's form of a signature as certificates carry it: a sequence of two integers (RFC 3279, section 2.2.3). */
export function derFromSignature(signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts = [
    ...derInteger(signature.subarray(0, HALF)),
    ...derInteger(signature.subarray(HALF)),
  ];
  return Uint8Array.from([SEQUENCE, parts.length, ...parts]);
}

/** The other way; undefined when it is not such a sequence. */
export function signatureFromDer(der: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (der[0] !== SEQUENCE || der[1] !== der.length - 2) return undefined;
  const first = readInteger(der, 2);
  const second = first && readInteger(der, first.end);
  if (first === undefined || second === undefined || second.end !== der.length) return undefined;
  const signature = new Uint8Array(SIGNATURE_BYTES);
  signature.set(first.digits, HALF - first.digits.length);
  signature.set(second.digits, SIGNATURE_BYTES - second.digits.length);
  return signature;
}

function derInteger(digits: Uint8Array): number[] {
  const start = digits.findIndex((byte) => byte !== 0);
  const rest = [...digits.subarray(start < 0 ? digits.length - 1 : start)];
  // A set top bit would make it negative.
  if ((rest[0] ?? 0) >= 0x80) rest.unshift(0);
  return [INTEGER, rest.length, ...rest];
}

function readInteger(der: Uint8Array, at: number) {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  if (der[at] !== INTEGER || length === 0 || end > der.length) return undefined;
  const start = der[at + 2] === 0 && length > 1 ? at + 3 : at + 2;
  const digits = der.subarray(start, end);
  return digits.length > HALF ? undefined : { digits, end };
}
