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

const NOTHING: readonly unknown[] = [];

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
    if (!this.#begins()) return super.step(input);
    try {
      return this.#ended("step", [input], super.step(input));
    } catch (error) {
      throw this.#failed("step", [input], error);
    }
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
    if (!this.#begins()) return super.tick();
    try {
      return this.#ended("tick", NOTHING, super.tick());
    } catch (error) {
      throw this.#failed("tick", NOTHING, error);
    }
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
    if (!this.#begins()) return super.ready();
    try {
      return this.#ended("ready", NOTHING, super.ready());
    } catch (error) {
      throw this.#failed("ready", NOTHING, error);
    }
  }

  /** For calls that are rare; what comes with each message is spelled out above, as a call takes less than what this makes. */
  #noted<Result>(method: RaftMethod, args: readonly unknown[], act: () => Result): Result {
    if (!this.#begins()) return act();
    try {
      return this.#ended(method, args, act());
    } catch (error) {
      throw this.#failed(method, args, error);
    }
  }

  /** False = the call is not recorded. */
  #begins(): boolean {
    if (this.#isInside || this.#steps === undefined) return false;
    this.#isInside = true;
    this.#reads.begin();
    return true;
  }

  #ended<Result>(method: RaftMethod, args: readonly unknown[], orders: Result): Result {
    this.#isInside = false;
    const call: RaftCall = { method, args, reads: this.#reads.end() };
    const held = method === "step" ? args[0] : method === "ready" ? appendOf(orders) : undefined;
    this.#steps?.note(call, orders, held === undefined ? 0 : bytesOf(held));
    return orders;
  }

  #failed(method: RaftMethod, args: readonly unknown[], error: unknown): unknown {
    this.#ended(method, args, { threw: error instanceof Error ? error.message : String(error) });
    return error;
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
  #isNoting = false;
  /** Undefined = nothing was read yet: most calls read nothing. */
  #noted: unknown[] | undefined;

  constructor(stable: RaftLogReader) {
    this.#stable = stable;
  }

  begin(): void {
    this.#isNoting = true;
  }

  /** What was read since it began, in order. */
  end(): readonly unknown[] {
    const noted = this.#noted ?? NOTHING;
    this.#noted = undefined;
    this.#isNoting = false;
    return noted;
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
    if (this.#isNoting) (this.#noted ??= []).push(value);
    return value;
  }
}
