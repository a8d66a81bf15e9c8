import type { ErrorCode, NodeId } from "../../../src/base/mod.ts";
import { type SearchOrder, SlotSearch } from "../../../src/core/answers/mod.ts";
import type { RouteCandidate } from "../../../src/core/scheduler/mod.ts";
import type { Watch } from "./checkers/mod.ts";
import { indexOf, type SimulatedNode } from "./node.ts";
import type { HeldSlot } from "./slots.ts";

/** Who wants a slot. */
export interface Hunted {
  readonly name: string;
  readonly standing: "fresh" | "resumed";
  readonly promptTokens: number;
  /** As the request says. */
  readonly avoid: readonly NodeId[];
  /** As the run has seen it. */
  readonly lost: readonly NodeId[];
}

/** How it ended. */
export type Catch =
  | { readonly kind: "held"; readonly nodeId: NodeId; readonly slot: HeldSlot }
  | { readonly kind: "failed"; readonly code: ErrorCode };

/** One search for a slot from one node, carried out. */
export class SlotHunt {
  readonly #node: SimulatedNode;
  readonly #hunted: Hunted;
  readonly #watch: Watch;
  readonly #done: (caught: Catch) => void;
  readonly #search: SlotSearch;
  readonly #refused: { readonly nodeId: NodeId; readonly code: ErrorCode }[] = [];
  #withdraw: () => void = () => {};
  #isOver = false;

  constructor(
    node: SimulatedNode,
    hunted: Hunted,
    parts: { readonly watch: Watch; readonly done: (caught: Catch) => void },
  ) {
    this.#node = node;
    this.#hunted = hunted;
    this.#watch = parts.watch;
    this.#done = parts.done;
    const { promptTokens, avoid } = hunted;
    this.#search = new SlotSearch({ promptTokens, memoryBytes: 1, avoid });
    this.#lookAround();
  }

  /** Nobody wants it any more. */
  stop(): void {
    this.#isOver = true;
    this.#withdraw();
  }

  #lookAround(): void {
    const candidates = this.#node.candidates();
    const order = this.#search.step({ kind: "candidates_known", candidates });
    const refused = this.#refused.map(({ nodeId }) => nodeId);
    if (order.kind === "ask") return this.#ask(order, candidates, refused);
    if (order.kind !== "give_up") throw new Error(`A search orders ${order.kind}`);
    this.#watch.ends.gaveUp(this.#hunted.name, candidates, refused);
    const told = order.told === undefined ? undefined : this.#refused[order.told];
    const code = told === undefined || order.isUnreachable ? "node_unreachable" : told.code;
    this.#finish({ kind: "failed", code });
  }

  #ask(
    order: Extract<SearchOrder, { kind: "ask" }>,
    candidates: readonly RouteCandidate[],
    refused: readonly NodeId[],
  ): void {
    const { name, standing, lost } = this.#hunted;
    const { route: { nodeId }, isReplaceable } = order;
    this.#watch.ways.asked({ name, nodeId, candidates, refused, lost, isReplaceable });
    const asked = { requestId: name, standing, isReplaceable };
    this.#withdraw = this.#node.acquireAt(indexOf(nodeId), asked, (answer) => {
      if (this.#isOver) {
        if (answer.kind === "granted") answer.slot.release();
        return;
      }
      if (answer.kind === "granted") {
        this.#search.step({ kind: "granted" });
        return this.#finish({ kind: "held", nodeId, slot: answer.slot });
      }
      const code = answer.code as ErrorCode; // The world's own codes.
      const next = this.#search.step({ kind: "refused", code });
      if (next.kind === "pass_on") return this.#finish({ kind: "failed", code });
      this.#refused.push({ nodeId, code });
      // As after an await: never within the call that refused.
      this.#node.process.after(0, () => {
        if (!this.#isOver) this.#lookAround();
      });
    });
  }

  #finish(caught: Catch): void {
    this.#isOver = true;
    this.#node.process.after(0, () => this.#done(caught));
  }
}
