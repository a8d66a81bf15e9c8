import { type NodeId, PeerError, UnavailableError } from "../../src/base/mod.ts";
import type { Clock } from "../../src/ports/mod.ts";
import {
  encodeJoinToken,
  type JoinAnswer,
  type JoinRefusal,
  spokenVersions,
} from "../../src/protocol/mod.ts";
import {
  type AnsweredJoin,
  answerJoin,
  type AnswerJoinParts,
  type DialSeed,
  type FramePipe,
  generateSigningKey,
  issueCertificate,
  joinCluster,
  type JoinClusterParts,
  type JoinRequest,
  type NodeIdentity,
  type SigningKey,
  tokenVerifier,
} from "../../src/transport/mod.ts";
import { MemoryPipe } from "./frame_pipes.ts";
import { type IdentityMaker, identityMaker } from "./identities.ts";

/** A member row as the desk keeps it. */
interface Row {
  readonly publicKey: Uint8Array;
  standing: "admitted" | "revoked";
}

/** A member of a cluster that admits joiners in this process, by rows that a test may change. */
export class JoinDesk {
  readonly cluster: IdentityMaker;
  readonly tokens = new Map<
    string,
    { verifier: Uint8Array; expiresAtMs: number; usesLeft: number }
  >();
  readonly members = new Map<NodeId, Row>();
  /** Requests that reached the log, in order. */
  readonly admitted: JoinRequest[] = [];
  /** Instead of admitting: a refusal, or a throw. */
  admitInstead: (() => JoinRefusal | undefined) | undefined;
  /** How each conversation ended. */
  readonly outcomes: (AnsweredJoin["outcome"] | Error)[] = [];
  readonly #parts: AnswerJoinParts;
  readonly #answers: Promise<void>[] = [];

  /** The admitting member's own. */
  get identity(): NodeIdentity {
    return this.#parts.identity;
  }

  private constructor(cluster: IdentityMaker, parts: AnswerJoinParts) {
    this.cluster = cluster;
    this.#parts = {
      ...parts,
      findToken: async (tokenId) => this.tokens.get(tokenId),
      findMember: async (nodeId) => this.members.get(nodeId),
      admit: async (request) => this.#admit(request),
    };
  }

  static async open(nowMs: number = Date.now()): Promise<JoinDesk> {
    const cluster = await identityMaker(nowMs);
    const identity = await cluster.make();
    const { nodeId, publicKey } = identity;
    const desk = new JoinDesk(cluster, {
      identity,
      authority: cluster.authority,
      certify: (joiner) => issueCertificate(cluster.authority, { publicKey: joiner, nowMs }),
      nowMs: () => nowMs,
      speaks: () => spokenVersions(),
      findToken: async () => undefined,
      findMember: async () => undefined,
      admit: async () => undefined,
      members: () => [{ nodeId, name: "desk", address: "127.0.0.1:1", publicKey }],
      revoked: () => [],
    });
    desk.members.set(nodeId, { publicKey, standing: "admitted" });
    return desk;
  }

  /** A fresh token as text. */
  async createToken(
    row: { readonly expiresAtMs?: number; readonly uses?: number } = {},
  ): Promise<string> {
    const secret = crypto.getRandomValues(new Uint8Array(16));
    const tokenId = `t${this.tokens.size}`;
    const { expiresAtMs = Number.MAX_SAFE_INTEGER, uses: usesLeft = 1 } = row;
    this.tokens.set(tokenId, { verifier: await tokenVerifier(secret), expiresAtMs, usesLeft });
    return encodeJoinToken({ tokenId, secret, authorityKey: this.cluster.authority.publicKey });
  }

  /** Answers over this pipe and notes how it ended. */
  answer(pipe: FramePipe): Promise<void> {
    const answered = this.#answer(pipe);
    this.#answers.push(answered);
    return answered;
  }

  /** All conversations that began have ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#answers);
  }

  async #answer(pipe: FramePipe): Promise<void> {
    try {
      this.outcomes.push((await answerJoin(pipe, this.#parts)).outcome);
    } catch (error) {
      this.outcomes.push(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** As a joiner dials it: the certificate must be of the anchor's key, as TLS would have it. */
  readonly dial: DialSeed = async (_seed, trust) => {
    if (!await this.isTrustedBy(trust.anchorPem)) {
      throw new PeerError("peer_refused", "it is a node of another cluster");
    }
    const { left, right } = MemoryPipe.pair();
    void this.answer(right).finally(() => right.end());
    return { pipe: left, close: () => left.end() };
  };

  /** Whether the anchor holds the key of this cluster's authority. */
  async isTrustedBy(anchorPem: string): Promise<boolean> {
    const body = (pem: string) =>
      Uint8Array.fromBase64(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""));
    return body(anchorPem).toHex().includes(this.cluster.authority.publicKey.toHex());
  }

  #admit(request: JoinRequest): JoinRefusal | undefined {
    if (this.admitInstead !== undefined) return this.admitInstead();
    this.admitted.push(request);
    if (this.members.has(request.nodeId)) return "already_exists";
    const token = this.tokens.get(request.tokenId);
    if (token === undefined) return "token_unknown";
    token.usesLeft--;
    if (token.usesLeft === 0) this.tokens.delete(request.tokenId);
    this.members.set(request.nodeId, { publicKey: request.publicKey, standing: "admitted" });
  }
}

/** Time that passes only while somebody waits for it. */
export class LeapingClock implements Clock {
  #elapsedMs = 0;
  /** All waits, in order. */
  readonly waitsMs: number[] = [];
  constructor(readonly startMs: number = Date.now()) {}
  nowMs = () => this.startMs + this.#elapsedMs;
  monotonicMs = () => this.#elapsedMs;
  after(delayMs: number, callback: () => void) {
    // A deadline, which no test of this clock reaches.
    if (delayMs >= 15_000) return { cancel() {} };
    this.waitsMs.push(delayMs);
    this.#elapsedMs += delayMs;
    queueMicrotask(callback);
    return { cancel() {} };
  }
}

/** Joins through these dials with a fresh key unless one is given. */
export async function join(
  token: string,
  options: Partial<JoinClusterParts> & { readonly dial: DialSeed; readonly key?: SigningKey },
): Promise<JoinAnswer> {
  return await joinCluster({
    seeds: [{ hostname: "a.example", port: 11435 }],
    token,
    key: await generateSigningKey(),
    name: "joiner",
    clock: new LeapingClock(),
    signal: new AbortController().signal,
    ...options,
  });
}

/** Nobody answers. */
export const DEAD_DIAL: DialSeed = async () => {
  throw new UnavailableError("node_unreachable", "nobody answered");
};
