import { assert, Random, type StateKeeper } from "../../base/mod.ts";
import type { RaftLogReader } from "../../ports/mod.ts";
import { RaftNode, type RaftOptions } from "../raft/mod.ts";

/** What a driver calls. */
const METHODS = [
  ...["step", "proposeAll", "proposeChange", "readIndex", "tick", "campaign"] as const,
  ...["transferLeadership", "reportUnreachable", "reportSnapshot", "forgetLeader"] as const,
  ...["applyChange", "ready"] as const,
];
export type RaftMethod = typeof METHODS[number];

/** A call as data. */
export interface RaftCall {
  readonly method: RaftMethod;
  readonly args: readonly unknown[];
  /** What was read of the log for it, in order. */
  readonly reads: readonly unknown[];
}

/** A node that is called again as it was, without a log: it reads what it read then. */
export class ReplayedRaft {
  readonly #log = new RememberedReads();
  readonly #node: RaftNode;

  /** Its state is that of an empty log until it is kept. */
  constructor(options: RaftOptions) {
    this.#node = new RaftNode({ ...options, applied: 0 }, this.#log, new Random(0));
  }

  keep(keeper: StateKeeper): void {
    this.#node.keep(keeper);
  }

  /** What the node answered. @throws what it threw; when it reads more than it did, or no such call is made. */
  call({ method, args, reads }: RaftCall): unknown {
    assert(METHODS.includes(method), "A node has such a method", { method });
    this.#log.reads = [...reads];
    const act = this.#node[method] as (...args: unknown[]) => unknown;
    return act.apply(this.#node, [...args]);
  }
}

const NOBODY = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

class RememberedReads implements RaftLogReader {
  /** Undefined = of an empty log. */
  reads: unknown[] | undefined;

  initial(): ReturnType<RaftLogReader["initial"]> {
    return { hardState: { term: 0, vote: undefined, commit: 0 }, configuration: NOBODY };
  }

  firstIndex(): number {
    return this.#next(1);
  }

  lastIndex(): number {
    return this.#next(0);
  }

  term(_index: number): number | undefined {
    return this.#next<number | undefined>(0);
  }

  entries(_low: number, _high: number): ReturnType<RaftLogReader["entries"]> {
    return this.#next<ReturnType<RaftLogReader["entries"]>>([]);
  }

  snapshot(): ReturnType<RaftLogReader["snapshot"]> {
    return this.#next<ReturnType<RaftLogReader["snapshot"]>>(undefined);
  }

  #next<Value>(ofEmpty: Value): Value {
    if (this.reads === undefined) return ofEmpty;
    assert(this.reads.length > 0, "It reads as much of its log as it did");
    return this.reads.shift() as Value;
  }
}
