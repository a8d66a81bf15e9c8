import { equalBytes, type NodeId, PeerError } from "../../base/mod.ts";
import type { PeerDirectory } from "../../ports/mod.ts";
import {
  agreeOnVersions,
  decodeHello,
  encodeHello,
  HELLO_VERSIONS,
  type HelloAnswer,
  type HelloFrame,
  type HelloOffer,
  type HelloRefusal,
  helloTranscript,
  NONCE_BYTES,
  type SpokenVersions,
} from "../../protocol/mod.ts";
import { judgeCertificate } from "./authority.ts";
import type { FramePipe } from "../frame_pipe.ts";
import { verifySignature } from "./keys.ts";
import type { NodeIdentity } from "./node_identity.ts";

/** A peer that proved who it is. */
export interface GreetedPeer {
  readonly nodeId: NodeId;
  /** SPKI. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** DER. */
  readonly certificate: Uint8Array<ArrayBuffer>;
  /** The newest version of the wire that both speak. */
  readonly wire: number;
}

/** As far as a peer is known before it has said what it speaks. */
type JudgedPeer = Omit<GreetedPeer, "wire">;

/** What a hello is held with. */
export type GreetOptions =
  & {
    readonly identity: NodeIdentity;
    /** Asked once the peer has proved its key. Only `admitted` gets in. */
    readonly directory: PeerDirectory;
    readonly nowMs: () => number;
    readonly speaks: SpokenVersions;
  }
  & (
    /**
     * Whoever dials knows whom. The TLS handshake must have asked for that node's name: the signatures then can't be those
     * of a node behind the one that answered.
     */
    | { readonly role: "dialer"; readonly expected: NodeId }
    | { readonly role: "listener" }
  );

/** Why a hello failed, as the cause of the PeerError that {@link greet} throws. */
export interface HelloFailure {
  /** For metrics: a closed list. */
  readonly reason: HelloRefusal;
  /** Who said no. */
  readonly refusedBy: "this node" | "the peer";
}

/**
 * Proves this node to the peer and the peer to this node, over a stream on which nothing was said yet. Before it is over
 * no other frame may be read. The side that refuses tells the other why, so that both can log it.
 *
 * @throws PeerError `peer_refused`, `unknown_version` or `malformed_frame`, its cause a {@link HelloFailure}; whatever the
 *   pipe rejects with.
 */
export async function greet(pipe: FramePipe, options: GreetOptions): Promise<GreetedPeer> {
  try {
    return options.role === "dialer"
      ? await greetAsDialer(pipe, options, options.expected)
      : await greetAsListener(pipe, options);
  } catch (error) {
    if (error instanceof Refused) {
      await sayQuietly(pipe, { kind: "refusal", reason: error.reason, text: error.message });
      throw peerError(error.reason, `Refused the peer's hello: ${error.message}`, "this node");
    }
    throw error;
  }
}

/** Reads the cause of an error of {@link greet}; undefined for any other error. */
export function helloFailureOf(error: unknown): HelloFailure | undefined {
  if (!(error instanceof PeerError) || !(error.cause instanceof HelloFailed)) return undefined;
  const { reason, refusedBy } = error.cause;
  return { reason, refusedBy };
}

async function greetAsDialer(
  pipe: FramePipe,
  options: GreetOptions,
  expected: NodeId,
): Promise<GreetedPeer> {
  const { identity } = options;
  const offer: HelloOffer = {
    versionMin: HELLO_VERSIONS.min,
    versionMax: HELLO_VERSIONS.max,
    clusterId: identity.clusterId,
    nonce: drawNonce(),
    certificate: identity.certificate,
  };
  await say(pipe, { kind: "offer", offer });
  const { answer, signature } = await hear(pipe, "answer");
  checkVersion({ low: answer.version, high: answer.version });
  const peer = await judge(answer, options);
  if (peer.nodeId !== expected) {
    throw new Refused("wrong_node", `expected node ${expected}, found ${peer.nodeId}`);
  }
  await checkSignature(peer, signature, helloTranscript("listener", { offer, answer }));
  checkStanding(peer, options.directory);
  const wire = agreeOnWire(peer, { speaks: answer.speaks, options });
  const speaks = answer.speaks && { speaks: options.speaks };
  const transcript = helloTranscript("dialer", { offer, answer, ...speaks });
  await say(pipe, { kind: "proof", signature: await identity.sign(transcript), ...speaks });
  await hear(pipe, "welcome");
  return { ...peer, wire };
}

async function greetAsListener(pipe: FramePipe, options: GreetOptions): Promise<GreetedPeer> {
  const { identity } = options;
  const { offer } = await hear(pipe, "offer");
  checkVersion({ low: offer.versionMin, high: offer.versionMax });
  const peer = await judge(offer, options);
  const version = Math.min(HELLO_VERSIONS.max, offer.versionMax);
  const answer: HelloAnswer = {
    version,
    clusterId: identity.clusterId,
    nonce: drawNonce(),
    certificate: identity.certificate,
    ...(version > HELLO_VERSIONS.min && { speaks: options.speaks }),
  };
  const own = helloTranscript("listener", { offer, answer });
  await say(pipe, { kind: "answer", answer, signature: await identity.sign(own) });
  const { signature, speaks } = await hear(pipe, "proof");
  if ((speaks === undefined) !== (answer.speaks === undefined)) {
    throw new Refused("malformed", "its proof is of another version of the hello");
  }
  await checkSignature(peer, signature, helloTranscript("dialer", { offer, answer, speaks }));
  // Only now: who can't prove its key learns nothing about who belongs.
  checkStanding(peer, options.directory);
  const wire = agreeOnWire(peer, { speaks, options });
  await say(pipe, { kind: "welcome" });
  return { ...peer, wire };
}

/** What this side found wrong; told to the peer, then thrown on as a PeerError. */
class Refused extends Error {
  readonly reason: HelloRefusal;
  constructor(reason: HelloRefusal, text: string) {
    super(text);
    this.reason = reason;
  }
}

class HelloFailed extends Error {
  readonly reason: HelloRefusal;
  readonly refusedBy: HelloFailure["refusedBy"];
  constructor(failure: HelloFailure) {
    super(`${failure.reason}, refused by ${failure.refusedBy}`);
    this.reason = failure.reason;
    this.refusedBy = failure.refusedBy;
  }
}

function checkVersion(spoken: { readonly low: number; readonly high: number }): void {
  const { min, max } = HELLO_VERSIONS;
  if (spoken.low <= max && min <= spoken.high) return;
  const range = spoken.low === spoken.high ? `${spoken.low}` : `${spoken.low} to ${spoken.high}`;
  throw new Refused(
    "unknown_version",
    `it speaks version ${range} of the hello, this node ${min} to ${max}: update odist on the ` +
      `machine whose version is lower`,
  );
}

/** Without it a node would be admitted that reads nothing of what the others say. */
function agreeOnWire(
  peer: JudgedPeer,
  by: { readonly speaks: SpokenVersions | undefined; readonly options: GreetOptions },
): number {
  const { identity, speaks } = by.options;
  const self = { nodeId: identity.nodeId, speaks };
  const agreed = agreeOnVersions(self, { nodeId: peer.nodeId, speaks: by.speaks });
  if (agreed.kind === "apart") throw new Refused("unknown_version", agreed.text);
  return agreed.wire;
}

/** Everything about a peer that its words show before its signature is asked for. */
async function judge(
  said: Pick<HelloOffer, "clusterId" | "certificate">,
  options: GreetOptions,
): Promise<JudgedPeer> {
  const { identity, nowMs } = options;
  if (said.clusterId !== identity.clusterId) {
    const text = `expected cluster ${identity.clusterId}, found ${said.clusterId}`;
    throw new Refused("other_cluster", text);
  }
  const by = {
    authorityKey: identity.authorityKey,
    nowMs: nowMs(),
    isKnownKey: (id: NodeId, publicKey: Uint8Array) => {
      const known = options.directory.findKey?.(id);
      return known !== undefined && equalBytes(known, publicKey);
    },
  };
  const judged = await judgeCertificate(said.certificate, by);
  if (judged.kind !== "valid") {
    const timely = judged.kind === "expired" || judged.kind === "not_yet_valid";
    const text = `its certificate is no good: ${judged.reason}${
      timely ? "; check both clocks" : ""
    }`;
    throw new Refused(timely ? judged.kind : "bad_certificate", text);
  }
  const { nodeId, publicKey } = judged;
  if (nodeId === identity.nodeId) {
    throw new Refused("own_id", `both sides are node ${nodeId}: a copied data folder?`);
  }
  return { nodeId, publicKey, certificate: said.certificate };
}

async function checkSignature(
  peer: JudgedPeer,
  signature: Uint8Array<ArrayBuffer>,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  if (await verifySignature(peer.publicKey, { bytes, signature })) return;
  throw new Refused("bad_signature", `the signature is not node ${peer.nodeId}'s for this hello`);
}

function checkStanding(peer: JudgedPeer, directory: PeerDirectory): void {
  const { nodeId } = peer;
  switch (directory.judge(nodeId, peer.publicKey)) {
    case "admitted":
      return;
    case "revoked":
      throw new Refused("revoked", `node ${nodeId} was revoked`);
    case "key_mismatch":
      throw new Refused("key_mismatch", `node ${nodeId} was admitted with another key`);
    case "unknown":
      throw new Refused("unknown_member", `node ${nodeId} is no member of this cluster`);
  }
}

async function say(pipe: FramePipe, frame: HelloFrame): Promise<void> {
  await pipe.write(encodeHello(frame));
}

/** The refusal matters more than whether the peer still hears of it. */
async function sayQuietly(pipe: FramePipe, frame: HelloFrame): Promise<void> {
  try {
    await say(pipe, frame);
  } catch {
    // The peer is gone; the caller throws what it found wrong.
  }
}

/** The next frame, which must be of this kind. */
async function hear<Kind extends HelloFrame["kind"]>(
  pipe: FramePipe,
  kind: Kind,
): Promise<Extract<HelloFrame, { readonly kind: Kind }>> {
  const bytes = await pipe.read();
  if (bytes === undefined) {
    throw peerError("malformed", `The peer ended the hello before its ${kind}`, "the peer");
  }
  const decoded = decodeHello(bytes);
  if (decoded.kind === "malformed") {
    throw new Refused("malformed", `expected its ${kind}, found ${decoded.reason}`);
  }
  const frame = decoded.value;
  if (isKind(frame, kind)) return frame;
  if (frame.kind === "refusal") {
    throw peerError(frame.reason, `The peer refused this node's hello: ${frame.text}`, "the peer");
  }
  throw new Refused("malformed", `expected its ${kind}, found its ${frame.kind}`);
}

function isKind<Kind extends HelloFrame["kind"]>(
  frame: HelloFrame,
  kind: Kind,
): frame is Extract<HelloFrame, { readonly kind: Kind }> {
  return frame.kind === kind;
}

function peerError(
  reason: HelloRefusal,
  text: string,
  refusedBy: HelloFailure["refusedBy"],
): PeerError {
  const cause = new HelloFailed({ reason, refusedBy });
  if (reason === "malformed") return new PeerError("malformed_frame", text, { cause });
  if (reason === "unknown_version") return new PeerError("unknown_version", text, { cause });
  return new PeerError("peer_refused", text, { cause });
}

function drawNonce(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
}
