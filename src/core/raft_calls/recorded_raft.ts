import type { NodeId, Random } from "../../base/mod.ts";
import type { RaftLogReader, Recorder, StepRecorder } from "../../ports/mod.ts";
import type { GroupChange } from "../../protocol/mod.ts";
import {
  entriesBytes,
  type RaftInput,
  RaftNode,
  type RaftOptions,
  type Ready,
  type SnapshotDelivery,
  type StepOutcome,
} from "../raft/mod.ts";
import type { RaftCall, RaftMethod } from "./replayed_raft.ts";

/** A {@link RaftNode} whose calls are recorded. */
export class RecordedRaft extends RaftNode {
  readonly #reads: NotedReads;
  readonly #steps: StepRecorder | undefined;
  /** A call may make others: what came from outside is recorded. */
  #isInside = false;

  constructor(
    options: RaftOptions,
    by: {
      readonly stable: RaftLogReader;
      readonly random: Random;
      readonly recorder: Recorder | undefined;
    },
  ) {
    const reads = new NotedReads(by.stable);
    super(options, reads, by.random);
    this.#reads = reads;
    this.#steps = by.recorder?.begin({
      ...{ part: "raft", options },
      keep: (keeper) => this.keep(keeper),
    });
  }

  override step(input: RaftInput): StepOutcome {
    return this.#noted("step", [input], () => super.step(input));
  }

  override proposeAll(batch: readonly Uint8Array[]): StepOutcome {
    return this.#noted("proposeAll", [batch], () => super.proposeAll(batch));
  }

  override proposeChange(change: GroupChange): StepOutcome {
    return this.#noted("proposeChange", [change], () => super.proposeChange(change));
  }

  override readIndex(context: string): StepOutcome {
    return this.#noted("readIndex", [context], () => super.readIndex(context));
  }

  override tick(): void {
    return this.#noted("tick", [], () => super.tick());
  }

  override campaign(): void {
    return this.#noted("campaign", [], () => super.campaign());
  }

  override transferLeadership(to: NodeId): ReturnType<RaftNode["transferLeadership"]> {
    return this.#noted("transferLeadership", [to], () => super.transferLeadership(to));
  }

  override reportUnreachable(id: NodeId): ReturnType<RaftNode["reportUnreachable"]> {
    return this.#noted("reportUnreachable", [id], () => super.reportUnreachable(id));
  }

  override reportSnapshot(
    id: NodeId,
    delivery: SnapshotDelivery,
  ): ReturnType<RaftNode["reportSnapshot"]> {
    return this.#noted("reportSnapshot", [id, delivery], () => super.reportSnapshot(id, delivery));
  }

  override forgetLeader(): ReturnType<RaftNode["forgetLeader"]> {
    return this.#noted("forgetLeader", [], () => super.forgetLeader());
  }

  override applyChange(change: GroupChange): ReturnType<RaftNode["applyChange"]> {
    return this.#noted("applyChange", [change], () => super.applyChange(change));
  }

  override ready(): Ready {
    return this.#noted("ready", [], () => super.ready());
  }

  #noted<Result>(method: RaftMethod, args: readonly unknown[], act: () => Result): Result {
    if (this.#isInside || this.#steps === undefined) return act();
    this.#isInside = true;
    this.#reads.noted = [];
    let orders: unknown;
    try {
      const result = act();
      orders = result;
      return result;
    } catch (error) {
      orders = { threw: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      this.#isInside = false;
      const call: RaftCall = { method, args, reads: this.#reads.noted };
      this.#reads.noted = undefined;
      const held = method === "step" ? args[0] : method === "ready" ? appendOf(orders) : undefined;
      this.#steps.note(call, orders, bytesOf(held));
    }
  }
}

function appendOf(orders: unknown): unknown {
  return typeof orders === "object" && orders !== null && "append" in orders
    ? orders.append
    : undefined;
}

/** Of the entries and the snapshot of a message or an order, which everything else shares. */
function bytesOf(held: unknown): number {
  const { entries, snapshot } = (held ?? {}) as Partial<NonNullable<Ready["append"]>>;
  return (entries === undefined ? 0 : entriesBytes(entries)) + (snapshot?.data.length ?? 0);
}

/** A log, and what was read of it for the call that is running. */
class NotedReads implements RaftLogReader {
  readonly #stable: RaftLogReader;
  noted: unknown[] | undefined;

  constructor(stable: RaftLogReader) {
    this.#stable = stable;
  }

  initial(): ReturnType<RaftLogReader["initial"]> {
    return this.#stable.initial();
  }

  firstIndex(): number {
    return this.#note(this.#stable.firstIndex());
  }

  lastIndex(): number {
    return this.#note(this.#stable.lastIndex());
  }

  term(index: number): number | undefined {
    return this.#note(this.#stable.term(index));
  }

  entries(low: number, high: number, bytesMax: number): ReturnType<RaftLogReader["entries"]> {
    return this.#note(this.#stable.entries(low, high, bytesMax));
  }

  snapshot(): ReturnType<RaftLogReader["snapshot"]> {
    return this.#note(this.#stable.snapshot());
  }

  #note<Value>(value: Value): Value {
    this.noted?.push(value);
    return value;
  }
}
