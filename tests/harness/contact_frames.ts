import type { NodeId } from "../../src/base/mod.ts";
import type { DiscoveryPacket, HelloFrame, JoinFrame } from "../../src/protocol/mod.ts";

const ID = "0123456789abcdef";
const nodeId = ID as NodeId;
/** That many equal bytes. */
export const bytes = (length: number, byte = 7) => new Uint8Array(length).fill(byte);
const signature = bytes(64);
const proof = bytes(32);
const self = { clusterId: ID, nonce: bytes(32), certificate: bytes(400) };
export const offer = { versionMin: 1, versionMax: 3, ...self };
export const answer = { version: 1, ...self };
export const speaks = { wire: { min: 1, max: 2 }, catalogue: { min: 2, max: 3 } };
const versions = { versionMin: 1, versionMax: 1 };
export const opening = {
  ...versions,
  tokenId: "t1",
  nonce: bytes(32),
  publicKey: bytes(91),
  name: "n",
};
export const challenge = { version: 1, ...self };
export const joinAnswer = {
  clusterId: ID,
  certificate: bytes(400),
  authorityChainPem: "a",
  members: [{ nodeId, name: "n", address: "h:1", publicKey: bytes(91) }],
  revoked: [nodeId],
};

const recovery = { clusterIds: [ID], by: nodeId, name: "n", address: "h:1", atMs: 1 };

/** A frame of each kind of a hello. */
export const HELLO_FRAMES: readonly HelloFrame[] = [
  { kind: "offer", offer },
  { kind: "answer", answer, signature },
  { kind: "answer", answer: { ...answer, version: 2, speaks }, signature },
  { kind: "proof", signature },
  { kind: "proof", signature, speaks },
  { kind: "welcome" },
  { kind: "refusal", reason: "revoked", text: "node x was revoked" },
];
/** A frame of each kind of a join. */
export const JOIN_FRAMES: readonly JoinFrame[] = [
  { kind: "opening", opening },
  { kind: "challenge", challenge, signature, proof },
  { kind: "challenge", challenge, signature, proof: undefined },
  { kind: "proof", signature, tokenKey: bytes(91), proof: signature },
  { kind: "answer", answer: joinAnswer, signature, proof },
  { kind: "refusal", reason: "no_quorum", text: "later" },
  { kind: "recovered", talk: { clusterIds: [ID], recoveries: [], livesOn: false } },
  {
    kind: "recovered",
    talk: { clusterIds: [], recoveries: [{ recovery, signature }], livesOn: true },
  },
];
/** A packet of each kind of discovery. */
export const DISCOVERY_PACKETS: readonly DiscoveryPacket[] = [
  { kind: "query", clusterId: ID },
  {
    kind: "announcement",
    announcement: { clusterId: ID, nodeId, hostname: "", port: 1, name: "n", version: "1" },
  },
];
