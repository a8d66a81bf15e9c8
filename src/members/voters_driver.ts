import { bugReport, errorMessage, isEdgeError, type NodeId } from "../base/mod.ts";
import {
  nextLookMs,
  planVoters,
  type VoterCandidate,
  type VotersOptions,
  type VotersPlan,
} from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { Clock, Log, Metrics, Recorder, StepRecorder } from "../ports/mod.ts";
import type { GroupChange } from "../protocol/mod.ts";

/** How often a leader looks although nothing changed: a refused change or transfer is tried again then. */
const LOOK_MS = 1_000;
/** How often while a learner that could vote is still catching up, which nobody announces. */
const CATCH_UP_LOOK_MS = 100;
/** What a member takes in a look that is recorded, about. */
const MEMBER_BYTES = 128;
/** How long one change may take before the leader looks afresh. */
const CHANGE_TIMEOUT_MS = 5_000;

/** The log's group, as far as its voters are concerned. */
export interface VotersGroup {
  view(): Pick<RaftView, "role" | "configuration" | "transferTarget">;
  /** Learners that answer and hold all but the newest entries; empty unless this node leads. */
  caughtUpLearners(): readonly NodeId[];
  /** Resolves when the change is applied. @throws UnavailableError when it was refused, lost or took too long. */
  changeGroup(change: GroupChange, options: { readonly timeoutMs: number }): Promise<unknown>;
  transferLeadership(to: NodeId): unknown;
  /** Calls back after each change of role, leader or configuration; returns how to stop. */
  onChanged(listener: () => void): () => void;
}

/** What keeping the voters right takes. */
export interface VotersDriverParts {
  readonly nodeId: NodeId;
  readonly group: VotersGroup;
  /** Everyone the catalogue admits, this node included. */
  readonly members: () => readonly Pick<VoterCandidate, "nodeId" | "duty" | "claims">[];
  /** What gossip says of another node; undefined = it was never heard of. */
  readonly standingOf: (nodeId: NodeId) => VoterCandidate["standing"] | undefined;
  readonly clock: Pick<Clock, "monotonicMs" | "after">;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly options: VotersOptions;
  readonly recorder?: Recorder | undefined;
}

/**
 * Lets the leader keep the voters as `planVoters` wants them; runs on every node and acts only while it leads. Who votes
 * is what the log's own configuration says: the catalogue's `set_voters` takes no part, because a second record of the
 * same thing could only disagree with the first.
 *
 * Tell it by {@link VotersDriver.look} when the catalogue's members or gossip's standings change.
 */
export class VotersDriver {
  readonly #parts: VotersDriverParts;
  readonly #stopListening: () => void;
  readonly #steps: StepRecorder | undefined;
  /** Since when each member has its standing; kept by nodes that don't lead too, so that a new leader need not wait. */
  #standings = new Map<NodeId, Pick<VoterCandidate, "standing" | "sinceMs">>();
  #timer: { readonly dueMs: number; cancel(): void } | undefined;
  #state: "ready" | "changing" | "closed" = "ready";
  /** After a failure: a group in trouble is not helped by proposals. */
  #restUntilMs = -Infinity;

  constructor(parts: VotersDriverParts) {
    this.#parts = parts;
    this.#steps = parts.recorder?.begin({ part: "voters", options: {}, keep: () => {} });
    this.#stopListening = parts.group.onChanged(() => this.look());
    this.look();
  }

  /** Something changed that the voters may depend on. Cheap; looks in a later turn, once for many calls. */
  look(): void {
    this.#lookAt(this.#parts.clock.monotonicMs());
  }

  /** Stops; what was proposed may still happen. */
  close(): void {
    this.#state = "closed";
    this.#stopListening();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookAt(dueMs: number): void {
    if (this.#state === "closed" || (this.#timer?.dueMs ?? Infinity) <= dueMs) return;
    this.#timer?.cancel();
    const { clock } = this.#parts;
    const timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#timer = undefined;
      try {
        this.#lookNow();
      } catch (error) {
        this.#breakOff(error);
      }
    });
    this.#timer = { dueMs, cancel: () => timer.cancel() };
  }

  #lookNow(): void {
    const { group, clock, nodeId: self, options } = this.#parts;
    const nowMs = clock.monotonicMs();
    const members = this.#observeMembers(nowMs);
    const { role, configuration, transferTarget } = group.view();
    if (role !== "leader") return;
    const caughtUp = group.caughtUpLearners();
    const state = { self, configuration, members, caughtUp, nowMs };
    const catchingUp = members.some(({ nodeId, standing }) =>
      standing === "alive" && nodeId !== self && !configuration.voters.includes(nodeId) &&
      !caughtUp.includes(nodeId)
    );
    const periodMs = catchingUp ? CATCH_UP_LOOK_MS : LOOK_MS;
    this.#lookAt(Math.min(nowMs + periodMs, nextLookMs(state, options) ?? Infinity));
    if (this.#state === "ready" && transferTarget === undefined && nowMs >= this.#restUntilMs) {
      const plan = planVoters(state, options);
      this.#steps?.note({ state, options }, plan, MEMBER_BYTES * members.length);
      this.#carryOut(plan);
    }
  }

  #observeMembers(nowMs: number): readonly VoterCandidate[] {
    const { nodeId: self, members, standingOf } = this.#parts;
    const standings = new Map<NodeId, Pick<VoterCandidate, "standing" | "sinceMs">>();
    const candidates = members().map(({ nodeId, duty, claims = false }) => {
      const standing = nodeId === self ? "alive" : standingOf(nodeId) ?? "unknown";
      const before = this.#standings.get(nodeId);
      const held = before?.standing === standing ? before : { standing, sinceMs: nowMs };
      standings.set(nodeId, held);
      return { nodeId, duty, claims, ...held };
    });
    this.#standings = standings;
    return candidates;
  }

  #carryOut(plan: VotersPlan): void {
    const { group, log, metrics } = this.#parts;
    switch (plan.kind) {
      case "none":
        return;
      case "transfer":
        log.log("info", "leadership_transferred", { to: plan.to });
        group.transferLeadership(plan.to);
        return;
      case "change": {
        const steps = plan.change.steps.map(({ action, node }) => `${action} ${node}`);
        log.log("info", "group_change_proposed", { why: plan.why, steps });
        metrics.increment("odist_group_changes_total", { why: plan.why });
        return this.#propose(plan.change);
      }
    }
  }

  #propose(change: GroupChange): void {
    const { group, log } = this.#parts;
    this.#state = "changing";
    group.changeGroup(change, { timeoutMs: CHANGE_TIMEOUT_MS }).then(
      () => {
        this.#endChange();
        this.look();
      },
      (error: unknown) => {
        this.#endChange();
        if (!isEdgeError(error)) return this.#breakOff(error);
        // A later look finds out what became of it.
        log.log("warn", "group_change_failed", { reason: errorMessage(error) });
        this.#restUntilMs = this.#parts.clock.monotonicMs() + LOOK_MS;
      },
    );
  }

  /** A bug: nobody's vote may hang on it. Voters stay as they are until another node leads, or this one starts again. */
  #breakOff(error: unknown): void {
    this.#parts.log.log("error", "part_broken", { part: "voters", ...bugReport(error) });
    this.close();
  }

  #endChange(): void {
    if (this.#state === "changing") this.#state = "ready";
  }
}
