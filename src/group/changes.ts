import { type NodeId, UnavailableError } from "../base/mod.ts";
import type { GroupChange, GroupConfiguration } from "../protocol/mod.ts";

/** Changes that wait; Raft takes one at a time, so more are a fault of the caller. */
const CHANGES_MAX = 16;
/** Random bytes by which a change is known again when it is applied. */
const MARK_BYTES = 16;

interface Pending {
  readonly mark: Uint8Array;
  readonly deadlineMs: number;
  readonly resolve: (configuration: GroupConfiguration) => void;
  readonly reject: (reason: unknown) => void;
  isApplied: boolean;
}

/** Membership changes this node asked for while it led. */
export class GroupChanges {
  readonly #pending = new Set<Pending>();
  /** The change Raft is being asked for right now: a refusal noted meanwhile is about it. */
  #asking: Pending | undefined;

  /** Takes a change; what is to be proposed carries a mark in front of the change's own context. */
  add(
    change: GroupChange,
    deadlineMs: number,
  ): { readonly marked: GroupChange; readonly result: Promise<GroupConfiguration> } {
    const mark = crypto.getRandomValues(new Uint8Array(MARK_BYTES));
    const context = new Uint8Array(MARK_BYTES + change.context.length);
    context.set(mark);
    context.set(change.context, MARK_BYTES);
    const { promise: result, resolve, reject } = Promise.withResolvers<GroupConfiguration>();
    const pending = { mark, deadlineMs, resolve, reject, isApplied: false };
    if (this.#pending.size < CHANGES_MAX) this.#pending.add(pending);
    else reject(failure("too many changes wait"));
    return { marked: { ...change, context }, result };
  }

  onProposed(marked: GroupChange): void {
    this.#asking = this.#find(marked);
  }

  endProposing(): void {
    this.#asking = undefined;
  }

  /** Raft noted a refusal. */
  onRefused(reason: string): void {
    if (this.#asking !== undefined) this.#end(this.#asking, reason);
  }

  /** A change of this or another node was applied. */
  onApplied(change: GroupChange, configuration: GroupConfiguration): void {
    const applied = this.#find(change);
    if (applied !== undefined) applied.isApplied = true;
    // A joint configuration is on its way to something: the change is done when that is reached.
    if (configuration.votersOutgoing.length > 0) return;
    for (const pending of [...this.#pending]) {
      if (!pending.isApplied) continue;
      this.#pending.delete(pending);
      pending.resolve(configuration);
    }
  }

  /** Whether anything here waits for ticks. */
  get countsTicks(): boolean {
    return this.#pending.size > 0;
  }

  onTick(nowMs: number): void {
    for (const pending of [...this.#pending]) {
      if (nowMs >= pending.deadlineMs) this.#end(pending, "it took too long and may still happen");
    }
  }

  fail(marked: GroupChange, reason: string): void {
    const pending = this.#find(marked);
    if (pending !== undefined) this.#end(pending, reason);
  }

  failAll(reason: string): void {
    for (const pending of [...this.#pending]) this.#end(pending, reason);
  }

  #end(pending: Pending, reason: string): void {
    if (this.#pending.delete(pending)) pending.reject(failure(reason));
  }

  #find({ context }: GroupChange): Pending | undefined {
    for (const pending of this.#pending) {
      if (pending.mark.every((byte, index) => byte === context[index])) return pending;
    }
    return undefined;
  }
}

/** Whether nobody else has a vote. */
export function isOnlyVoter(
  { voters, votersOutgoing }: GroupConfiguration,
  nodeId: NodeId,
): boolean {
  return voters.length === 1 && voters[0] === nodeId && votersOutgoing.length === 0;
}

function failure(reason: string): UnavailableError {
  return new UnavailableError("group_change_failed", `Cannot change the group: ${reason}`);
}
