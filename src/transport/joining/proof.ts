import { equalBytes } from "../../base/mod.ts";
import { formatPem, parseSigningKey, type SigningKey, verifySignature } from "../identity/mod.ts";

const HMAC = { name: "HMAC", hash: "SHA-256" } as const;
/** Everything of a P-256 key in PKCS#8 that stands before its number (RFC 5958, without the public half). */
const PKCS8_HEAD = Uint8Array.fromHex(
  "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420",
);
const KEY_BITS = 256;
const SALT = new TextEncoder().encode("odist join token");

/** What the catalogue keeps of an API key's secret: it opens nothing. */
export async function hashSecret(secret: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return await sha256(Uint8Array.from(secret));
}

/** The key that a join token's secret makes; whoever joins signs with it. */
export async function tokenKey(secret: Uint8Array): Promise<SigningKey> {
  const raw = Uint8Array.from(secret);
  const base = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: SALT, info: new Uint8Array(0) };
  const bits = new Uint8Array(await crypto.subtle.deriveBits(derivation, base, KEY_BITS));
  const pem = formatPem("PRIVATE KEY", Uint8Array.from([...PKCS8_HEAD, ...bits]));
  const key = await parseSigningKey(pem);
  if (key === undefined) throw new TypeError("Any 32 bytes but zeros are a key");
  return key;
}

/** What the catalogue keeps of a join token: the hash of that key's public half. It tells a proof, and makes none. */
export async function tokenVerifier(secret: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return await sha256((await tokenKey(secret)).publicKey);
}

/** Whether `proof` is a signature of these bytes by the key that `verifier` is of. */
export async function verifyTokenProof(
  verifier: Uint8Array,
  proved: {
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** SPKI, as the joiner shows it. */
    readonly tokenKey: Uint8Array<ArrayBuffer>;
    readonly proof: Uint8Array<ArrayBuffer>;
  },
): Promise<boolean> {
  const { bytes, proof: signature } = proved;
  if (!equalBytes(await sha256(proved.tokenKey), verifier)) return false;
  return await verifySignature(proved.tokenKey, { bytes, signature });
}

/**
 * Shows for these bytes that a member has the row of the joiner's token: of this cluster, not only certified by its
 * authority.
 */
export async function makeRowProof(
  verifier: Uint8Array,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign(HMAC, await rowKey(verifier), bytes));
}

/** Whether `proof` was made with the same verifier for the same bytes; takes the same time whatever differs. */
export async function verifyRowProof(
  verifier: Uint8Array,
  proved: {
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly proof: Uint8Array<ArrayBuffer>;
  },
): Promise<boolean> {
  return await crypto.subtle.verify(HMAC, await rowKey(verifier), proved.proof, proved.bytes);
}

async function rowKey(verifier: Uint8Array): Promise<CryptoKey> {
  const key = Uint8Array.from(verifier);
  return await crypto.subtle.importKey("raw", key, HMAC, false, ["sign", "verify"]);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
