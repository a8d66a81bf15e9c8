import { type NodeId, PeerError, UnavailableError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import {
  JOIN_VERSIONS,
  joinTranscript,
  NONCE_BYTES,
  STANDING_QUESTION,
} from "../../protocol/mod.ts";
import type { FramePipe } from "../frame_pipe.ts";
import {
  anchorFromKey,
  anchorFromMemberKey,
  CLUSTER_SERVER_NAME,
  serverNameOf,
  type SigningKey,
} from "../identity/mod.ts";
import type { DialSeed, Seed } from "./join_cluster.ts";
import { hearJoin, JoinRefused, JoinRefusedByPeer, sayJoin } from "./join_frames.ts";
import { tokenKey } from "./proof.ts";

const SECRET_BYTES = 32;

/** What a node is to its cluster, as a member says that has asked a quorum; `unknown`: nobody said anything that counts. */
export type OwnStanding = "member" | "removed" | "revoked" | "unknown";

/** Whose word counts: a member's that this node knows, or that of whoever the authority certified. */
export type AskedMember =
  | { readonly nodeId: NodeId; readonly publicKey: Uint8Array<ArrayBuffer> }
  | { readonly authorityKey: Uint8Array<ArrayBuffer> };

/** What asking takes. */
export interface AskStandingParts {
  readonly asked: AskedMember;
  /** This node's own. */
  readonly key: SigningKey;
  readonly name: string;
  readonly clock: Clock;
  readonly dial: DialSeed;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks at an address what this node is to the cluster it believes to be of. It is a join with a token that nobody has: a member's
 * needs none, as when its answer was lost, and anybody else's is refused before anything changes.
 *
 * @throws the signal's reason.
 */
export async function askStanding(seed: Seed, parts: AskStandingParts): Promise<OwnStanding> {
  const { clock, signal } = parts;
  const over = new AbortController();
  const timer = clock.after(parts.limitMs, () => over.abort());
  try {
    const trust = { ...await trustIn(parts), signal: AbortSignal.any([signal, over.signal]) };
    const { pipe, close } = await parts.dial(seed, trust);
    trust.signal.addEventListener("abort", close);
    try {
      return await converse(pipe, parts);
    } finally {
      trust.signal.removeEventListener("abort", close);
      close();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (over.signal.aborted || isSilence(error)) return "unknown";
    throw error;
  } finally {
    timer.cancel();
  }
}

async function converse(pipe: FramePipe, { key, name }: AskStandingParts): Promise<OwnStanding> {
  const opening = {
    versionMin: JOIN_VERSIONS.min,
    versionMax: JOIN_VERSIONS.max,
    tokenId: STANDING_QUESTION,
    nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)),
    publicKey: key.publicKey,
    name,
  };
  try {
    await sayJoin(pipe, { kind: "opening", opening });
    const { challenge } = await hearJoin(pipe, "challenge");
    const bytes = joinTranscript("proof", { opening, challenge });
    const nobodys = await tokenKey(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
    const [signature, proof] = [await key.sign(bytes), await nobodys.sign(bytes)];
    await sayJoin(pipe, { kind: "proof", signature, tokenKey: nobodys.publicKey, proof });
    await hearJoin(pipe, "answer");
    return "member";
  } catch (error) {
    if (!(error instanceof JoinRefusedByPeer)) throw error;
    if (error.reason === "token_unknown") return "removed";
    return error.reason === "member_revoked" ? "revoked" : "unknown";
  }
}

async function trustIn({ asked, clock }: AskStandingParts) {
  const nowMs = clock.nowMs();
  return "nodeId" in asked
    ? {
      anchorPem: await anchorFromMemberKey(asked.publicKey, nowMs),
      serverName: serverNameOf(asked.nodeId),
    }
    : {
      anchorPem: await anchorFromKey(asked.authorityKey, nowMs),
      serverName: CLUSTER_SERVER_NAME,
    };
}

function isSilence(error: unknown): boolean {
  return error instanceof JoinRefused || error instanceof PeerError ||
    error instanceof UnavailableError;
}
