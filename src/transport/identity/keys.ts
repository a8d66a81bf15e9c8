import { formatPem, parsePem } from "./pem.ts";

/**
 * P-256 rather than Ed25519: browsers accept no other kind of certificate over QUIC that Deno's WebCrypto can sign with,
 * and they may one day talk to the same port.
 */
const KEY_TYPE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const PRIVATE_KEY_LABEL = "PRIVATE KEY";

/** A private key that can sign, and the public half as others see it. */
export interface SigningKey {
  /** SPKI. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** PKCS#8. Never logged and never in an error's text. */
  readonly privateKeyPem: string;
  /** ECDSA with SHA-256, SIGNATURE_BYTES long. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** Makes a fresh key. */
export async function generateSigningKey(): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey(KEY_TYPE, true, ["sign", "verify"]);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return await signingKey(pair.privateKey, formatPem(PRIVATE_KEY_LABEL, pkcs8));
}

/** Takes a key from its file; undefined when it is not a P-256 key in PKCS#8. */
export async function parseSigningKey(privateKeyPem: string): Promise<SigningKey | undefined> {
  const pkcs8 = parsePem(PRIVATE_KEY_LABEL, privateKeyPem);
  if (pkcs8 === undefined) return undefined;
  try {
    const key = await crypto.subtle.importKey("pkcs8", pkcs8, KEY_TYPE, true, ["sign"]);
    return await signingKey(key, privateKeyPem);
  } catch {
    return undefined; // WebCrypto says no more than that it could not; its text could quote the key.
  }
}

/** Whether `signature` is of `bytes` by the key; false for anything that is no key or no signature. */
export async function verifySignature(
  publicKey: Uint8Array<ArrayBuffer>,
  signed: {
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly signature: Uint8Array<ArrayBuffer>;
  },
): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("spki", publicKey, KEY_TYPE, false, ["verify"]);
    return await crypto.subtle.verify(SIGNING, key, signed.signature, signed.bytes);
  } catch {
    return false; // WebCrypto throws on bytes that are no key; to us that is just not signed.
  }
}

async function signingKey(privateKey: CryptoKey, privateKeyPem: string): Promise<SigningKey> {
  return {
    publicKey: await publicHalf(privateKey),
    privateKeyPem,
    async sign(bytes) {
      return new Uint8Array(await crypto.subtle.sign(SIGNING, privateKey, bytes));
    },
  };
}

/** WebCrypto gives no public key for a private one, but its JWK form holds both. */
async function publicHalf(privateKey: CryptoKey): Promise<Uint8Array<ArrayBuffer>> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", privateKey);
  if (kty === undefined || crv === undefined || x === undefined || y === undefined) {
    throw new TypeError("A P-256 key has two coordinates");
  }
  const jwk = { kty, crv, x, y };
  const publicKey = await crypto.subtle.importKey("jwk", jwk, KEY_TYPE, true, ["verify"]);
  return new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
}
