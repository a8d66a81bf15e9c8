import { errorMessage, isEdgeError, type NodeId, pause } from "../base/mod.ts";
import {
  type Catalogue,
  HANDOVER,
  handoverKey,
  type Outcome,
  survivesWithout,
} from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { Clock, Log } from "../ports/mod.ts";
import type { CatalogueCommand } from "../protocol/mod.ts";

/** How long a stopping node waits for others to vote in its place. Milliseconds: with the rest below the ten of most supervisors. */
const HANDOVER_MS_MAX = 5_000;
/** How long the wish for it may take to be agreed on, within that. Milliseconds. */
const PROPOSE_TIMEOUT_MS = 1_500;

/** How long it waits for a suspect to turn out alive, before that. Milliseconds: most refute within a few hundred. */
const SUSPECT_MS_MAX = 1_500;
const LOOK_MS = 50;

/** Pause before a wish that failed is told again. Milliseconds. */
const RETRY_MS = 1_000;

/** The log's group, as far as a vote that is handed over is concerned. */
export interface HandoverGroup {
  readonly catalogue: Catalogue;
  view(): Pick<RaftView, "role" | "leader" | "configuration">;
  propose(command: CatalogueCommand, options: { readonly timeoutMs: number }): Promise<Outcome>;
  /** Calls back after each change of role, leader or configuration; returns how to stop. */
  onChanged(listener: () => void): () => void;
}

/** What handing over takes. */
export interface VoteHandoverParts {
  readonly nodeId: NodeId;
  readonly group: HandoverGroup;
  /** Other members that the cluster admits, and what gossip takes them for: a suspect is mostly alive again in a moment. */
  readonly others: () => readonly {
    readonly nodeId: NodeId;
    readonly standing: "alive" | "suspect" | "gone";
  }[];
  readonly clock: Pick<Clock, "after" | "monotonicMs">;
  readonly log: Log;
}

/**
 * Lets a node that stops in order leave its vote to those that stay, where they would have no quorum without it, and claims
 * it back when it starts again. Who votes then is the leader's to decide (`planVoters`), by what the catalogue says of both.
 */
export class VoteHandover {
  readonly #parts: VoteHandoverParts;
  readonly #stopListening: () => void;
  #state: "running" | "proposing" | "stopping" | "closed" = "running";

  constructor(parts: VoteHandoverParts) {
    this.#parts = parts;
    this.#stopListening = parts.group.onChanged(() => this.look());
  }

  /**
   * To be called before a node stops. Resolves when its vote is not needed any more, or nobody could take it in time; what
   * that costs is told to the log first.
   */
  async release(): Promise<void> {
    const { group, nodeId, others, log } = this.#parts;
    this.#state = "stopping";
    const isAlive = (member: NodeId) =>
      others().some((other) => other.nodeId === member && other.standing === "alive");
    if (survivesWithout(group.view().configuration, nodeId, isAlive)) return;
    if (others().length === 0) return;
    const warn = (reason: string) => {
      const effect = "the cluster takes no changes until this node is back";
      log.log("warn", "stop_loses_quorum", { reason, effect });
    };
    if (!await this.#untilAnybodyIsAlive()) return warn("no other member is up");
    try {
      const command = this.#note(HANDOVER.stopping);
      await group.propose(command, { timeoutMs: PROPOSE_TIMEOUT_MS });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      return warn(errorMessage(error));
    }
    if (await this.#untilNoVoter()) log.log("info", "vote_handed_over", {});
    else warn(`no other member took over this node's vote within ${HANDOVER_MS_MAX} ms`);
  }

  /** Something was applied. Cheap. */
  look(): void {
    const { group, nodeId } = this.#parts;
    if (this.#state !== "running") return;
    const row = group.catalogue.findSetting(handoverKey(nodeId));
    // Without a leader nothing can be told; its coming is announced.
    if (row === undefined || group.view().leader === undefined) return;
    if (row.value === HANDOVER.stopping) {
      return void this.#propose({ ...this.#note(HANDOVER.returned), expected: row.revision });
    }
    const { voters, votersOutgoing } = group.view().configuration;
    // An even number votes only while a leader hands over, which it would not finish without the claim.
    const hasVote = votersOutgoing.length === 0 && voters.includes(nodeId) &&
      voters.length % 2 === 1;
    if (!hasVote) return;
    void this.#propose({ kind: "delete_setting", key: row.key, expected: row.revision });
  }

  close(): void {
    this.#state = "closed";
    this.#stopListening();
  }

  #note(value: string) {
    const key = handoverKey(this.#parts.nodeId);
    return { kind: "put_setting", key, value, expected: undefined } as const;
  }

  async #propose(command: CatalogueCommand): Promise<void> {
    const { group, log } = this.#parts;
    this.#state = "proposing";
    try {
      await group.propose(command, { timeoutMs: PROPOSE_TIMEOUT_MS });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      log.log("debug", "handover_not_noted", { reason: errorMessage(error) });
      this.#parts.clock.after(RETRY_MS, () => this.look());
    } finally {
      if (this.#state === "proposing") this.#state = "running";
    }
  }

  /** A machine that is busy may suspect whom it has just not listened to. */
  async #untilAnybodyIsAlive(): Promise<boolean> {
    const { others, clock } = this.#parts;
    const untilMs = clock.monotonicMs() + SUSPECT_MS_MAX;
    for (;;) {
      const standings = others().map(({ standing }) => standing);
      if (standings.includes("alive")) return true;
      if (!standings.includes("suspect") || clock.monotonicMs() >= untilMs) return false;
      await pause(clock, LOOK_MS);
    }
  }

  /** Whether the group can do without this node's vote within the limit. */
  async #untilNoVoter(): Promise<boolean> {
    const { group, clock, nodeId } = this.#parts;
    const done = Promise.withResolvers<boolean>();
    const look = () => {
      const { voters, votersOutgoing } = group.view().configuration;
      if (![...voters, ...votersOutgoing].includes(nodeId)) done.resolve(true);
    };
    const stop = group.onChanged(look);
    const timer = clock.after(HANDOVER_MS_MAX, () => done.resolve(false));
    look();
    try {
      return await done.promise;
    } finally {
      stop();
      timer.cancel();
    }
  }
}
