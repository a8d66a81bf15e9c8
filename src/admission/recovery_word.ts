import { errorMessage, isEdgeError, type NodeId, printable } from "../base/mod.ts";
import {
  admittedMembers,
  leftBehindKey,
  leftBehindOf,
  type MemberRow,
  recoveriesOf,
} from "../core/catalogue/mod.ts";
import { judgeRecovery, outlives } from "../core/voting/mod.ts";
import { CHANGE_TIMEOUT_MS, type Group, READ_TIMEOUT_MS } from "../group/mod.ts";
import type { Clock, Log, SecretFiles } from "../ports/mod.ts";
import {
  type LeftBehind,
  parseAddress,
  RECOVERIES_MAX,
  type Recovery,
  recoveryBytes,
  type RecoveryTalk,
  type SignedRecovery,
  splitAddresses,
} from "../protocol/mod.ts";
import {
  authorityIds,
  type DialSeed,
  exchangeRecoveries,
  type StoredIdentity,
  verifySignature,
} from "../transport/mod.ts";
import { type KeptWord, writeWord } from "./kept_word.ts";

/** Pauses between two rounds to those that have not been told yet: doubled each time. Milliseconds. */
const ROUND_MS_MIN = 2_000;
const ROUND_MS_MAX = 30_000;
/** Members that a starting node asks whether its cluster is over. */
const ASKED_MAX = 16;
/** A pause without a leader after which a quorum no longer counts as having answered all the time. Milliseconds. */
const SILENCE_MS_MAX = 10_000;
/** Recoveries beside this node's own that are kept; more than anybody makes by mistake. */
const RIVALS_MAX = 4;

/** What hearing and telling of recoveries takes. */
export interface RecoveryWordParts {
  readonly stored: StoredIdentity;
  readonly files: SecretFiles;
  readonly group: Pick<
    Group,
    "catalogue" | "view" | "propose" | "read" | "end" | "onApplied" | "onChanged"
  >;
  /** Of earlier starts. */
  readonly kept: KeptWord;
  readonly addressOf: (nodeId: NodeId) => string;
  readonly dial: DialSeed;
  readonly clock: Clock;
  readonly log: Log;
}

/** What gossip knows of who tells of a recovery. */
export interface TellersLife {
  find(nodeId: NodeId): { readonly standing: string } | undefined;
  /** Returns how to stop. */
  onMemberChanged(
    listener: (change: {
      readonly nodeId: NodeId;
      readonly member: { readonly standing: string } | undefined;
    }) => void,
  ): () => void;
}

/**
 * What is known of recoveries. Whoever was left behind is told as soon as it can be reached, and takes no part from then
 * on; whose cluster was recovered a second time elsewhere says so. A node believes what a member of its own cluster has
 * signed, unless it knows better: see `outlives`. It keeps that over restarts.
 */
export class RecoveryWord {
  readonly #parts: RecoveryWordParts;
  readonly #closed = new AbortController();
  readonly #told = new Set<NodeId>();
  /** Signed, but this node's cluster has a quorum that answered all the time. */
  readonly #contested = new Map<string, SignedRecovery>();
  /** When members that are not alive any more were, in milliseconds since the epoch. */
  readonly #aliveUntilMs = new Map<NodeId, number>();
  /** This node was told that the cluster before its own goes on, by name of who said so. */
  #before: string | undefined;
  #hasAsked = false;
  #answersSinceMs: number | undefined;
  #leaderlessSinceMs: number | undefined;
  #kept: KeptWord;
  #timer: { cancel(): void } | undefined;
  readonly #stops: (() => void)[] = [];
  #membership: TellersLife | undefined;

  /** To be made before the group has taken its first turn: a node that is to take no part must not vote once more. */
  constructor(parts: RecoveryWordParts) {
    this.#parts = parts;
    this.#kept = parts.kept;
    if (this.#kept.over !== undefined) this.#stepOut(this.#kept.over.recovery);
  }

  /** For people: that this node's cluster is over, or is not the only one that was recovered. */
  warnings(): readonly string[] {
    const { over, rivals } = this.#kept;
    return [
      ...(over === undefined ? [] : [overText(over.recovery)]),
      ...rivals.map(({ recovery }) =>
        over === undefined
          ? rivalText(recovery)
          : `It was also recovered ${whereAndWhen(recovery)}.`
      ),
      ...[...this.#contested.values()].map(({ recovery }) => contestedText(recovery)),
      ...(this.#before === undefined ? [] : [livesOnText(this.#before)]),
    ];
  }

  /** Takes what another node tells; returns what is known here of the clusters that it knows. */
  async hear({ clusterIds, recoveries }: RecoveryTalk): Promise<RecoveryTalk> {
    for (const signed of recoveries) await this.#take(signed);
    const { over } = this.#kept;
    const known = [...this.#recoveries(), ...(over === undefined ? [] : [over])];
    const isAbout = ({ recovery }: SignedRecovery) =>
      recovery.clusterIds.some((id) => clusterIds.includes(id));
    return {
      clusterIds: [],
      recoveries: known.filter(isAbout).slice(-RECOVERIES_MAX),
      livesOn: recoveries.some(({ recovery }) => this.#contested.has(keyOf(recovery))),
    };
  }

  /** Asks whether this cluster is over, once, and from then on tells those that were left behind, while this node leads. */
  start(membership: TellersLife): void {
    const { group } = this.#parts;
    this.#membership = membership;
    this.#stops.push(
      group.onChanged(() => this.#noteLeader()),
      membership.onMemberChanged(({ nodeId, member }) => {
        // As many as the cluster has members.
        if (member?.standing === "alive") this.#aliveUntilMs.delete(nodeId);
        else this.#aliveUntilMs.set(nodeId, this.#parts.clock.nowMs());
      }),
      group.onApplied(() => this.#askOnce()),
    );
    this.#noteLeader();
    this.#askOnce();
    this.#tellLater(0);
  }

  close(): void {
    this.#closed.abort();
    for (const stop of this.#stops) stop();
    this.#timer?.cancel();
  }

  async #take(signed: SignedRecovery): Promise<void> {
    const { stored } = this.#parts;
    const { membership } = stored;
    if (membership === undefined || this.#closed.signal.aborted) return;
    const judged = judgeRecovery(signed.recovery, {
      clusterIds: authorityIds(membership.authority),
      recoveries: this.#recoveries().map(({ recovery }) => recovery),
    });
    if (judged !== "over" && judged !== "rival") return;
    if (signed.recovery.by === stored.nodeId || !await this.#isSigned(signed)) return;
    const { over, rivals } = this.#kept;
    const isKept = [...(over === undefined ? [] : [over]), ...rivals].some(({ recovery }) =>
      recovery.by === signed.recovery.by && recovery.atMs === signed.recovery.atMs
    );
    if (isKept || rivals.length >= RIVALS_MAX) return;
    const isOver = judged === "over" && over === undefined;
    if (isOver && await this.#outlives(signed.recovery)) return this.#contest(signed);
    this.#contested.delete(keyOf(signed.recovery));
    this.#kept = isOver ? { over: signed, rivals } : { over, rivals: [...rivals, signed] };
    const { clusterId } = membership.identity;
    // Takes no part at once, and keeps on doing so after a restart.
    if (isOver) this.#stepOut(signed.recovery);
    const { log, files } = this.#parts;
    const text = isOver ? overText(signed.recovery) : rivalText(signed.recovery);
    log.log("error", isOver ? "cluster_is_over" : "cluster_recovered_twice", { reason: text });
    await writeWord(files, clusterId, this.#kept).catch((error) =>
      log.log("warn", "recovery_not_kept", { reason: errorMessage(error) })
    );
  }

  /** By a member of this node's cluster, or of the one that this one was recovered from. */
  async #isSigned({ recovery, signature }: SignedRecovery): Promise<boolean> {
    const { catalogue } = this.#parts.group;
    const row = catalogue.findMember(recovery.by);
    const key = row?.standing === "admitted"
      ? row.publicKey
      : leftBehindOf(catalogue).find(({ nodeId }) => nodeId === recovery.by)?.publicKey;
    if (key === undefined) return false;
    const bytes = recoveryBytes(recovery);
    return await verifySignature(Uint8Array.from(key), { bytes, signature });
  }

  async #outlives(recovery: Recovery): Promise<boolean> {
    const { group, clock } = this.#parts;
    const answers = await group.read(() => true, { timeoutMs: READ_TIMEOUT_MS }).catch(() => false);
    const isAlive = this.#membership?.find(recovery.by)?.standing === "alive";
    return outlives(recovery, {
      answersSinceMs: answers ? this.#answersSinceMs : undefined,
      tellerAliveMs: isAlive ? clock.nowMs() : this.#aliveUntilMs.get(recovery.by),
    });
  }

  #contest(signed: SignedRecovery): void {
    const key = keyOf(signed.recovery);
    if (this.#contested.has(key) || this.#contested.size >= RIVALS_MAX) return;
    this.#contested.set(key, signed);
    const reason = contestedText(signed.recovery);
    this.#parts.log.log("error", "cluster_recovered_needlessly", { reason });
  }

  /** Elections interrupt nothing; a longer silence does. */
  #noteLeader(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#parts.group.view().leader === undefined) {
      this.#leaderlessSinceMs ??= nowMs;
      return;
    }
    const silentMs = nowMs - (this.#leaderlessSinceMs ?? nowMs);
    if (silentMs > SILENCE_MS_MAX) this.#answersSinceMs = undefined;
    this.#answersSinceMs ??= nowMs;
    this.#leaderlessSinceMs = undefined;
  }

  #stepOut(recovery: Recovery): void {
    this.#parts.group.end({ kind: "recovered_elsewhere", reason: overText(recovery) });
  }

  /** A node that was off when the others were told; as soon as it knows whom to ask. */
  #askOnce(): void {
    const { group, stored } = this.#parts;
    const members = admittedMembers(group.catalogue, stored.nodeId);
    if (members.length === 0 || this.#hasAsked || this.#kept.over !== undefined) return;
    this.#hasAsked = true;
    // Voters first: mostly it is one of them that has gone on.
    const { voters } = group.view().configuration;
    const rank = ({ nodeId }: MemberRow) => voters.includes(nodeId) ? 0 : 1;
    const asked = [...members].sort((one, other) => rank(one) - rank(other)).slice(0, ASKED_MAX);
    for (const { nodeId, publicKey } of asked) void this.#exchange({ nodeId, publicKey });
  }

  #tellLater(delayMs: number): void {
    if (this.#closed.signal.aborted) return;
    this.#timer = this.#parts.clock.after(delayMs, () => {
      const nextMs = Math.min(Math.max(ROUND_MS_MIN, 2 * delayMs), ROUND_MS_MAX);
      void this.#lookAgain().then(() => this.#tellLater(nextMs), (error) => reportError(error));
    });
  }

  async #lookAgain(): Promise<void> {
    const { group } = this.#parts;
    // The quorum that spoke against it may be gone by now.
    for (const signed of [...this.#contested.values()]) await this.#take(signed);
    if (group.view().role !== "leader") return;
    await Promise.all(leftBehindOf(group.catalogue).map((left) => this.#tell(left)));
  }

  async #tell(left: LeftBehind): Promise<void> {
    const { group } = this.#parts;
    const { nodeId } = left;
    if (group.catalogue.findMember(nodeId) !== undefined) {
      // It has come back.
      const key = leftBehindKey(nodeId);
      const command = { kind: "delete_setting", key, expected: undefined } as const;
      await group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS }).catch(ignoreEdge);
    } else if (!this.#told.has(nodeId) && await this.#exchange(left)) this.#told.add(nodeId);
  }

  async #exchange(
    to: Pick<LeftBehind, "nodeId" | "publicKey"> & Partial<LeftBehind>,
  ): Promise<boolean> {
    const { addressOf, stored, dial, clock } = this.#parts;
    const addresses = splitAddresses(addressOf(to.nodeId) || (to.address ?? ""));
    const { membership } = stored;
    if (membership === undefined) return false;
    const recoveries = this.#recoveries();
    const clusterIds = [
      ...authorityIds(membership.authority),
      ...recoveries.flatMap(({ recovery }) => recovery.clusterIds),
    ];
    const talk = { clusterIds, recoveries, livesOn: false };
    const by = { dial, clock, signal: this.#closed.signal };
    for (const seed of addresses.flatMap((address) => parseAddress(address) ?? [])) {
      try {
        const heard = await exchangeRecoveries({ seed, publicKey: to.publicKey }, talk, by);
        await this.hear(heard);
        if (heard.livesOn) this.#noteBefore(to.name ?? to.nodeId);
        // Who contests it may come to agree.
        return !heard.livesOn;
      } catch (error) {
        if (!this.#closed.signal.aborted) ignoreEdge(error);
      }
    }
    return false;
  }

  #noteBefore(name: string): void {
    if (this.#before !== undefined || this.#recoveries().length === 0) return;
    this.#before = name;
    this.#parts.log.log("error", "cluster_before_lives_on", { reason: livesOnText(name) });
  }

  #recoveries(): readonly SignedRecovery[] {
    return recoveriesOf(this.#parts.group.catalogue);
  }
}

/** It is tried again; anything else is a bug. */
function ignoreEdge(error: unknown): void {
  if (!isEdgeError(error)) throw error;
}

function overText(recovery: Recovery): string {
  const address = printable(recovery.address);
  return `the cluster was recovered ${
    whereAndWhen(recovery)
  } without this node. It keeps what it has, and joins again ` +
    `with: odist serve --join ${
      address || "ADDRESS"
    } and a token that odist token create makes there`;
}

function rivalText(recovery: Recovery): string {
  return `the cluster that this one was recovered from was also recovered ${
    whereAndWhen(recovery)
  }: there are two now, ` +
    "and what one agrees on the other does not know. Choose one, and have the machines of the other join it";
}

function contestedText(recovery: Recovery): string {
  return `a cluster of its own was begun ${
    whereAndWhen(recovery)
  } from this one, which has had its quorum all the time ` +
    "and goes on. What that machine agrees on this cluster does not know; it can join again from an empty data folder";
}

function livesOnText(name: string): string {
  return `the cluster that this one was recovered from was never lost, as ${
    printable(name)
  } says, and goes on: there are ` +
    "two now. To go back, start this machine from an empty data folder (--data) with a token of the other";
}

function keyOf({ by, atMs }: Recovery): string {
  return `${by} ${atMs}`;
}

function whereAndWhen({ name, by, atMs }: Recovery): string {
  return `on ${printable(name) || by} at ${new Date(atMs).toISOString()}`;
}
