const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** What the catalogue keeps of a token's secret, and the key of its proofs. */
export async function hashSecret(secret: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(secret)));
}

/** Shows that its maker knows `secretHash`, for these bytes alone. */
export async function makeProof(
  secretHash: Uint8Array,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign(HMAC, await proofKey(secretHash), bytes));
}

/** Whether `proof` was made with the same hash for the same bytes; takes the same time whatever differs. */
export async function verifyProof(
  secretHash: Uint8Array,
  proved: {
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly proof: Uint8Array<ArrayBuffer>;
  },
): Promise<boolean> {
  return await crypto.subtle.verify(HMAC, await proofKey(secretHash), proved.proof, proved.bytes);
}

async function proofKey(secretHash: Uint8Array): Promise<CryptoKey> {
  const key = Uint8Array.from(secretHash);
  return await crypto.subtle.importKey("raw", key, HMAC, false, ["sign", "verify"]);
}
