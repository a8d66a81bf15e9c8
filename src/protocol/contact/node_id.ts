import { type NodeId, sha256Hex } from "../../base/mod.ts";

/**
 * The id that belongs to a public key (SPKI): the first eight bytes of its SHA-256. Nobody hands ids out, so none can be
 * claimed without the key; two keys with one id would have to be searched for through 2^64 of them, and then the member
 * rows, which hold whole keys, would still tell them apart.
 */
export function nodeIdOf(publicKey: Uint8Array): NodeId {
  return keyId(publicKey) as NodeId; // Sixteen hex digits of the hash: what the brand promises.
}

/** The id of the cluster whose authority has this public key (SPKI); 16 lower-case hex digits. */
export function clusterIdOf(authorityKey: Uint8Array): string {
  return keyId(authorityKey);
}

function keyId(publicKey: Uint8Array): string {
  return sha256Hex(publicKey).slice(0, 16);
}
