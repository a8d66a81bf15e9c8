import { equalBytes, PeerError, RequestError, UnavailableError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import {
  agreeOnVersions,
  clusterIdOf,
  decodeJoinToken,
  JOIN_VERSIONS,
  type JoinAnswer,
  type JoinChallenge,
  type JoinFrame,
  type JoinOpening,
  type JoinToken,
  joinTranscript,
  nodeIdOf,
  NONCE_BYTES,
  type SpokenVersions,
  spokenVersions,
} from "../../protocol/mod.ts";
import type { FramePipe } from "../frame_pipe.ts";
import {
  anchorFromKey,
  CLUSTER_SERVER_NAME,
  judgeCertificate,
  parseChain,
  type SigningKey,
  verifySignature,
} from "../identity/mod.ts";
import { hearJoin, JoinRefused, JoinRefusedByPeer, sayJoin, sayRefusal } from "./join_frames.ts";
import {
  decideAfterRound,
  JOIN_PATIENCE,
  type JoinAttempt,
  type JoinPatience,
} from "./join_policy.ts";
import { tokenKey, tokenVerifier, verifyRowProof } from "./proof.ts";

/** Any interval keeps the process alive; this one is short enough for a timer and long enough to cost nothing. */
const ALIVE_MS = 60_000;

/** How long one member may take; it waits for a quorum meanwhile. */
const ATTEMPT_LIMIT_MS = 20_000;

/** How long a refusal may take to arrive. */
const LAST_WORDS_MS = 500;

const NO_CERTIFICATE =
  "it has no certificate of the token's cluster, or a machine was revoked since the token was made";

/** Where a member may answer. */
export interface Seed {
  readonly hostname: string;
  readonly port: number;
}

/** A connection to a seed whose certificate was verified by the anchor. */
export interface JoinConnection {
  readonly pipe: FramePipe;
  close(): void;
}

/**
 * Connects to a seed with ALPN `odist-join/1`.
 *
 * @throws PeerError `peer_refused` when the certificate is not of the anchor's making, UnavailableError
 *   `node_unreachable` when nobody answers in time; the signal's reason.
 */
export type DialSeed = (
  seed: Seed,
  trust: { readonly anchorPem: string; readonly serverName: string; readonly signal: AbortSignal },
) => Promise<JoinConnection>;

/** What a join is made with. */
export interface JoinClusterParts {
  /** Tried in this order, one after another. At least one. */
  readonly seeds: readonly Seed[];
  /** As it was given to the user. */
  readonly token: string;
  /** The joiner's own; a second join with the same key is known as the same node. */
  readonly key: SigningKey;
  /** What this node calls itself, at most 256 bytes. */
  readonly name: string;
  /** What this node speaks. Default: all that this program can. */
  readonly speaks?: SpokenVersions;
  readonly clock: Clock;
  readonly dial: DialSeed;
  readonly signal: AbortSignal;
  readonly patience?: JoinPatience;
  /** Told of each attempt that failed, before the next one. */
  readonly onAttemptFailed?: (attempt: JoinAttempt) => void;
}

/**
 * Joins the cluster of the token through the first seed that can admit this node. Says nothing to anybody who can't show
 * a certificate by the key in the token. Safe to repeat with the same key after any failure.
 *
 * @throws RequestError `join_refused` when the token can't be read or the cluster says no for good; UnavailableError
 *   `node_unreachable` or `no_quorum` when patience ends; the signal's reason.
 */
export async function joinCluster(parts: JoinClusterParts): Promise<JoinAnswer> {
  const token = readToken(parts.token);
  const { clock, patience = JOIN_PATIENCE } = parts;
  const startedMs = clock.monotonicMs();
  for (let number = 1;; number++) {
    const attempts: JoinAttempt[] = [];
    for (const seed of parts.seeds) {
      parts.signal.throwIfAborted();
      const attempt = await attemptJoin(seed, { token, parts });
      if (!("kind" in attempt)) return attempt;
      attempts.push(attempt);
      parts.onAttemptFailed?.(attempt);
      if (attempt.kind === "refused") break;
    }
    const elapsedMs = clock.monotonicMs() - startedMs;
    const decision = decideAfterRound({ attempts, number }, { ...patience, elapsedMs });
    if (decision.kind === "give_up") throw finalError(decision, token);
    await pause(decision.pauseMs, parts);
  }
}

/** Takes the token apart. @throws RequestError `join_refused`. */
function readToken(text: string): JoinToken {
  const decoded = decodeJoinToken(text);
  if (decoded.kind === "decoded") return decoded.value;
  throw new RequestError("join_refused", `Cannot read the join token: ${decoded.reason}`);
}

async function attemptJoin(
  seed: Seed,
  by: { readonly token: JoinToken; readonly parts: JoinClusterParts },
): Promise<JoinAnswer | JoinAttempt> {
  const { token, parts } = by;
  const shown = `${
    seed.hostname.includes(":") ? `[${seed.hostname}]` : seed.hostname
  }:${seed.port}`;
  const failed = (kind: JoinAttempt["kind"], text: string) => ({ seed: shown, kind, text });
  try {
    const trust = {
      anchorPem: await anchorFromKey(token.authorityKey, parts.clock.nowMs()),
      serverName: CLUSTER_SERVER_NAME,
      signal: parts.signal,
    };
    const connection = await parts.dial(seed, trust);
    // Closing it ends every wait for a member that says nothing more.
    const deadline = parts.clock.after(ATTEMPT_LIMIT_MS, () => connection.close());
    try {
      return await converseAsJoiner(connection.pipe, by);
    } finally {
      deadline.cancel();
      connection.close();
    }
  } catch (error) {
    parts.signal.throwIfAborted();
    if (error instanceof JoinRefused) return failed(attemptKind(error), error.message);
    if (error instanceof PeerError && error.code === "peer_refused") {
      return { seed: shown, ...describeHandshake(error.message, parts.clock.nowMs()) };
    }
    if (error instanceof UnavailableError || error instanceof PeerError) {
      return failed("unreachable", error.message);
    }
    throw error;
  }
}

/** The joiner's side. @throws JoinRefused, of which the member was told. */
async function converseAsJoiner(
  pipe: FramePipe,
  by: { readonly token: JoinToken; readonly parts: JoinClusterParts },
): Promise<JoinAnswer> {
  try {
    return await exchange(pipe, by);
  } catch (error) {
    if (error instanceof JoinRefused && !(error instanceof JoinRefusedByPeer)) {
      await sayRefusal(pipe, error);
      await waitForEnd(pipe, by.parts.clock);
    }
    throw error;
  }
}

/** The connection is closed behind this, and what is on the way then is lost. */
async function waitForEnd(pipe: FramePipe, clock: Clock): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(LAST_WORDS_MS, resolve);
  await Promise.race([pipe.read(), late]).catch(() => {});
  timer.cancel();
}

async function exchange(
  pipe: FramePipe,
  by: { readonly token: JoinToken; readonly parts: JoinClusterParts },
): Promise<JoinAnswer> {
  const { token, parts } = by;
  const { key, clock } = parts;
  const [proofKey, verifier] = [await tokenKey(token.secret), await tokenVerifier(token.secret)];
  const opening: JoinOpening = {
    versionMin: JOIN_VERSIONS.min,
    versionMax: JOIN_VERSIONS.max,
    tokenId: token.tokenId,
    nonce: crypto.getRandomValues(new Uint8Array(NONCE_BYTES)),
    publicKey: key.publicKey,
    name: parts.name,
  };
  await sayJoin(pipe, { kind: "opening", opening });
  const challenged = await hearJoin(pipe, "challenge");
  const { challenge } = challenged;
  const memberKey = await judgeMember(challenge, { token, nowMs: clock.nowMs() });
  const judges = { memberKey, verifier };
  await checkWord(challenged, joinTranscript("challenge", { opening, challenge }), judges);
  checkVersions(challenge, { memberKey, parts });
  const bytes = joinTranscript("proof", { opening, challenge });
  const [signature, proof] = [await key.sign(bytes), await proofKey.sign(bytes)];
  await sayJoin(pipe, { kind: "proof", signature, tokenKey: proofKey.publicKey, proof });
  const answered = await hearJoin(pipe, "answer");
  const { answer } = answered;
  if ((challenged.proof === undefined) !== (answered.proof === undefined)) {
    throw new JoinRefused("bad_signature", "only one of its two frames was proved by the token");
  }
  await checkWord(answered, joinTranscript("answer", { opening, challenge, answer }), judges);
  await checkAnswer(answer, { token, key, nowMs: clock.nowMs() });
  return answer;
}

/** Before the token is used up: as a member this node would read nothing of what the others say, or they of it. */
function checkVersions(
  challenge: JoinChallenge,
  by: { readonly memberKey: Uint8Array; readonly parts: JoinClusterParts },
): void {
  const { key, speaks = spokenVersions() } = by.parts;
  const self = { nodeId: nodeIdOf(key.publicKey), speaks };
  const agreed = agreeOnVersions(self, {
    nodeId: nodeIdOf(by.memberKey),
    speaks: challenge.speaks,
  });
  if (agreed.kind === "apart") throw new JoinRefused("unknown_version", agreed.text);
}

/** The key of whoever answers, if the token's authority certifies it. */
async function judgeMember(
  challenge: JoinChallenge,
  by: { readonly token: JoinToken; readonly nowMs: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const { min, max } = JOIN_VERSIONS;
  if (challenge.version < min || challenge.version > max) {
    const text = `it speaks version ${challenge.version} of the join, this node ${min} to ${max}`;
    throw new JoinRefused("unknown_version", text);
  }
  const { authorityKey } = by.token;
  const judged = await judgeCertificate(challenge.certificate, { authorityKey, nowMs: by.nowMs });
  if (judged.kind === "valid") return judged.publicKey;
  // It goes over to another authority just now, as its certificate in TLS was of the token's.
  if (judged.kind === "other_authority") throw new PeerError("peer_refused", judged.reason);
  throw new JoinRefused("bad_signature", `the member's certificate is no good: ${judged.reason}`);
}

/**
 * A frame of the member must be signed by its key and proved by the token. One without a proof comes from a member that
 * knows this node already and its token no more; the certificate and the signature then have to do.
 */
async function checkWord(
  word: Pick<Extract<JoinFrame, { kind: "challenge" }>, "signature" | "proof">,
  bytes: Uint8Array<ArrayBuffer>,
  by: {
    readonly memberKey: Uint8Array<ArrayBuffer>;
    readonly verifier: Uint8Array;
  },
): Promise<void> {
  const { signature, proof } = word;
  if (!await verifySignature(by.memberKey, { bytes, signature })) {
    throw new JoinRefused("bad_signature", "the signature is not the member's for this join");
  }
  if (proof === undefined || await verifyRowProof(by.verifier, { bytes, proof })) return;
  throw new JoinRefused("wrong_secret", "the token's secret is not the one that the cluster made");
}

async function checkAnswer(
  answer: JoinAnswer,
  by: { readonly token: JoinToken; readonly key: SigningKey; readonly nowMs: number },
): Promise<void> {
  const { authorityKey } = by.token;
  const authority = await parseChain(answer.authorityChainPem);
  const isTokens = authority !== undefined && equalBytes(authority.publicKey, authorityKey);
  if (!isTokens || authority.clusterId !== answer.clusterId) {
    throw new JoinRefused("malformed", "it sent another authority than the token's");
  }
  const judged = await judgeCertificate(answer.certificate, { authorityKey, nowMs: by.nowMs });
  if (judged.kind !== "valid") {
    throw new JoinRefused("malformed", `the certificate it sent is no good: ${judged.reason}`);
  }
  if (judged.nodeId !== nodeIdOf(by.key.publicKey)) {
    throw new JoinRefused("malformed", `it sent the certificate of node ${judged.nodeId}`);
  }
}

/** What a TLS handshake that failed means; the runtime tells by text alone. */
function describeHandshake(text: string, nowMs: number): Pick<JoinAttempt, "kind" | "text"> {
  if (/application protocol|error 120/i.test(text)) {
    return { kind: "unreachable", text: "it lets nobody join" };
  }
  if (/expired|not valid yet|NotValidYet/i.test(text)) {
    const now = new Date(nowMs).toISOString();
    return {
      kind: "other_cluster",
      text: `its certificate is not valid at ${now}, which this clock says; check both clocks`,
    };
  }
  return { kind: "other_cluster", text: NO_CERTIFICATE };
}

function attemptKind(refused: JoinRefused): JoinAttempt["kind"] {
  switch (refused.reason) {
    case "no_quorum":
    case "not_ready":
      return "busy";
    case "malformed":
      return "unreachable";
    default:
      return "refused";
  }
}

function finalError(
  decision: { readonly because: JoinAttempt["kind"]; readonly text: string },
  token: JoinToken,
): Error {
  const clusterId = clusterIdOf(token.authorityKey);
  const { because, text } = decision;
  switch (because) {
    case "refused":
      return new RequestError("join_refused", `Cannot join cluster ${clusterId}: ${text}`);
    case "other_cluster":
      return new RequestError(
        "join_refused",
        `Cannot join: the token is of cluster ${clusterId}, and no address leads there: ${text}`,
      );
    case "busy":
      return new UnavailableError("no_quorum", `Cannot join cluster ${clusterId} yet: ${text}`);
    case "unreachable":
      return new UnavailableError("node_unreachable", `Cannot reach cluster ${clusterId}: ${text}`);
  }
}

async function pause(
  pauseMs: number,
  { clock, signal }: Pick<JoinClusterParts, "clock" | "signal">,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = clock.after(pauseMs, resolve);
  // The clock's timers keep no process alive, and nothing else of a node runs yet while it joins.
  const alive = setInterval(() => {}, ALIVE_MS);
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } finally {
    timer.cancel();
    clearInterval(alive);
    signal.removeEventListener("abort", abort);
  }
}
