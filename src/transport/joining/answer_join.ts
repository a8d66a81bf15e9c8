import { equalBytes, type NodeId, PeerError, printable, UnavailableError } from "../../base/mod.ts";
import {
  JOIN_MEMBERS_MAX,
  JOIN_REVOKED_MAX,
  JOIN_VERSIONS,
  type JoinAnswer,
  type JoinChallenge,
  type JoinedMember,
  type JoinOpening,
  type JoinRefusal,
  joinTranscript,
  nodeIdOf,
  NONCE_BYTES,
  type SpokenVersions,
  STANDING_QUESTION,
} from "../../protocol/mod.ts";
import type { FramePipe } from "../frame_pipe.ts";
import { type AuthorityChain, type NodeIdentity, verifySignature } from "../identity/mod.ts";
import { hearJoin, JoinRefused, JoinRefusedByPeer, sayJoin, sayRefusal } from "./join_frames.ts";
import { makeRowProof, verifyTokenProof } from "./proof.ts";

/** Bytes that members may take in an answer, so that the whole fits into one frame of a join. */
const MEMBERS_BYTES_MAX = 40 * 1024;
/** Bytes of a member's fields of fixed length, with the lengths of the others. */
const MEMBER_HEAD_BYTES = 16;

/** A node that has proved that it holds a token and its own key. */
export interface JoinRequest {
  readonly nodeId: NodeId;
  /** SPKI. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** As the joiner calls itself; safe to print. */
  readonly name: string;
  readonly tokenId: string;
}

/** What the admitting side works with. */
export interface AnswerJoinParts {
  readonly identity: NodeIdentity;
  /** What the joiner is to know the cluster by. */
  readonly authority: AuthorityChain;
  /** Certifies a node that was just admitted. An UnavailableError means that the joiner should try again. */
  readonly certify: (publicKey: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer>>;
  readonly nowMs: () => number;
  /** What this node speaks: a joiner that doesn't is told to do about it. */
  readonly speaks: () => SpokenVersions;
  /**
   * The token's row as the cluster has it now; undefined when it was used up, revoked or never made. Read it
   * linearizably where that is possible: people join with a token that another node made a moment ago.
   */
  readonly findToken: (tokenId: string) => Promise<
    { readonly verifier: Uint8Array; readonly expiresAtMs: number } | undefined
  >;
  /** The member with this id as the cluster has it now. */
  readonly findMember: (nodeId: NodeId) => Promise<
    { readonly publicKey: Uint8Array; readonly standing: "admitted" | "revoked" } | undefined
  >;
  /**
   * Makes the node a member and uses up the token, in one entry of the log: `undefined` once that is applied, or why not.
   * An UnavailableError means that the joiner should try again.
   */
  readonly admit: (request: JoinRequest) => Promise<JoinRefusal | undefined>;
  /** This node first. Shortened where there are too many. */
  readonly members: () => readonly JoinedMember[];
  /** Newest first. Shortened where there are too many. */
  readonly revoked: () => readonly NodeId[];
}

/** What came of a join, for the log and metrics. */
export interface AnsweredJoin {
  readonly request: JoinRequest;
  /** `again`: it was a member already, and its answer had been lost. */
  readonly outcome: "admitted" | "again";
}

/**
 * Talks with a stranger that wants to join; the pipe is fresh and its connection encrypted. Nothing of the cluster is
 * shown before the stranger has proved its token.
 *
 * @throws PeerError `peer_refused`, `unknown_version` or `malformed_frame`, with the reason, which the stranger was told;
 *   whatever the pipe rejects with.
 */
export async function answerJoin(pipe: FramePipe, parts: AnswerJoinParts): Promise<AnsweredJoin> {
  try {
    return await converse(pipe, parts);
  } catch (error) {
    const refused = refusalFrom(error);
    if (refused === undefined) throw error;
    if (refused instanceof JoinRefusedByPeer) {
      throw peerError(refused, `A node gave up joining: ${refused.message}`);
    }
    await sayRefusal(pipe, refused);
    throw peerError(refused, `Refused a node that wants to join: ${refused.message}`);
  }
}

async function converse(pipe: FramePipe, parts: AnswerJoinParts): Promise<AnsweredJoin> {
  const { identity } = parts;
  const { opening } = await hearJoin(pipe, "opening");
  checkOpening(opening);
  const { nodeId, publicKey, tokenId } = requestOf(opening);
  const member = await parts.findMember(nodeId);
  const isMember = member !== undefined && equalBytes(member.publicKey, publicKey);
  const token = await parts.findToken(tokenId);
  if (token === undefined && !isMember) throw tokenUnknown(tokenId);
  const version = Math.min(JOIN_VERSIONS.max, opening.versionMax);
  const challenge: JoinChallenge = {
    version,
    clusterId: identity.clusterId,
    nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)),
    certificate: identity.certificate,
    ...(version > JOIN_VERSIONS.min && { speaks: parts.speaks() }),
  };
  const prove = async (bytes: Uint8Array<ArrayBuffer>) => ({
    signature: await identity.sign(bytes),
    proof: token && await makeRowProof(token.verifier, bytes),
  });
  const own = joinTranscript("challenge", { opening, challenge });
  await sayJoin(pipe, { kind: "challenge", challenge, ...await prove(own) });
  const theirs = await hearJoin(pipe, "proof");
  const bytes = joinTranscript("proof", { opening, challenge });
  if (!await verifySignature(publicKey, { bytes, signature: theirs.signature })) {
    throw new JoinRefused("bad_signature", `the signature is not node ${nodeId}'s for this join`);
  }
  if (token !== undefined && !await verifyTokenProof(token.verifier, { bytes, ...theirs })) {
    throw new JoinRefused("wrong_secret", `the secret of token "${tokenId}" is another one`);
  }
  if (member?.standing === "revoked") throw refusal("member_revoked", { nodeId, tokenId });
  // A member whose answer was lost must not use up its token a second time.
  if (!isMember) await admit(opening, { parts, expiresAtMs: token?.expiresAtMs ?? 0 });
  const answer = await composeAnswer(publicKey, parts);
  const last = joinTranscript("answer", { opening, challenge, answer });
  await sayJoin(pipe, { kind: "answer", answer, ...await prove(last) });
  return { request: requestOf(opening), outcome: isMember ? "again" : "admitted" };
}

async function admit(
  opening: JoinOpening,
  by: { readonly parts: AnswerJoinParts; readonly expiresAtMs: number },
): Promise<void> {
  const request = requestOf(opening);
  const nowMs = by.parts.nowMs();
  if (nowMs >= by.expiresAtMs) {
    const [until, now] = [by.expiresAtMs, nowMs].map((atMs) => new Date(atMs).toISOString());
    throw new JoinRefused(
      "token_expired",
      `token "${request.tokenId}" was valid until ${until}, and it is ${now}`,
    );
  }
  const reason = await by.parts.admit(request);
  if (reason === undefined) return;
  if (reason === "already_exists") {
    // The same node may be joining through two members at once, or its first attempt was applied late.
    const member = await by.parts.findMember(request.nodeId);
    if (member !== undefined && equalBytes(member.publicKey, request.publicKey)) return;
  }
  throw refusal(reason, request);
}

async function composeAnswer(
  publicKey: Uint8Array<ArrayBuffer>,
  parts: AnswerJoinParts,
): Promise<JoinAnswer> {
  const { authority, certify } = parts;
  return {
    clusterId: authority.clusterId,
    certificate: await certify(publicKey),
    authorityChainPem: authority.chainPem,
    members: fittingMembers(parts.members()),
    revoked: parts.revoked().slice(0, JOIN_REVOKED_MAX),
  };
}

function fittingMembers(members: readonly JoinedMember[]): readonly JoinedMember[] {
  const encoder = new TextEncoder();
  const fitting: JoinedMember[] = [];
  let bytes = 0;
  for (const member of members.slice(0, JOIN_MEMBERS_MAX)) {
    const texts = encoder.encode(member.name).length + encoder.encode(member.address).length;
    bytes += MEMBER_HEAD_BYTES + texts + member.publicKey.length;
    if (bytes > MEMBERS_BYTES_MAX) break;
    fitting.push(member);
  }
  return fitting;
}

function checkOpening({ versionMin, versionMax }: JoinOpening): void {
  const { min, max } = JOIN_VERSIONS;
  if (versionMin <= max && min <= versionMax) return;
  throw new JoinRefused(
    "unknown_version",
    `it speaks versions ${versionMin} to ${versionMax} of the join, this node ${min} to ${max}: ` +
      `update odist on the machine whose version is lower`,
  );
}

function requestOf({ publicKey, name, tokenId }: JoinOpening): JoinRequest {
  return { nodeId: nodeIdOf(publicKey), publicKey, name: printable(name), tokenId };
}

/** Everything that the joiner should hear of instead of a bare end of the stream. */
function refusalFrom(error: unknown): JoinRefused | undefined {
  if (error instanceof JoinRefused) return error;
  if (!(error instanceof UnavailableError) || error.code === "peer_lost") return undefined;
  return new JoinRefused(error.code === "no_quorum" ? "no_quorum" : "not_ready", error.message);
}

function refusal(
  reason: JoinRefusal,
  { nodeId, tokenId }: Pick<JoinRequest, "nodeId" | "tokenId">,
): JoinRefused {
  switch (reason) {
    case "token_unknown":
      return tokenUnknown(tokenId);
    case "member_revoked":
      return new JoinRefused(reason, `node ${nodeId} was revoked from this cluster`);
    case "already_exists":
      return new JoinRefused(reason, `another member already has the id ${nodeId}`);
    case "table_full":
      return new JoinRefused(reason, "this cluster has as many members as it can have");
    default:
      return new JoinRefused(reason, `node ${nodeId} was not admitted: ${reason}`);
  }
}

function tokenUnknown(tokenId: string): JoinRefused {
  if (tokenId === STANDING_QUESTION) {
    return new JoinRefused("token_unknown", "a node that asks whether it is a member is none");
  }
  const text =
    `token "${tokenId}" was used up or revoked, was made before a machine was revoked, ` +
    "or never was this cluster's";
  return new JoinRefused("token_unknown", text);
}

function peerError(cause: JoinRefused, text: string): PeerError {
  if (cause.reason === "malformed") return new PeerError("malformed_frame", text, { cause });
  if (cause.reason === "unknown_version") return new PeerError("unknown_version", text, { cause });
  return new PeerError("peer_refused", text, { cause });
}
