import type { NodeId } from "../../../../src/base/mod.ts";
import type { RouteCandidate } from "../../../../src/core/scheduler/mod.ts";
import type { Report } from "./mod.ts";

/** One node is asked for a slot. */
export interface Asked {
  readonly name: string;
  readonly nodeId: NodeId;
  readonly candidates: readonly RouteCandidate[];
  /** Refused within this search. */
  readonly refused: readonly NodeId[];
  /** Nodes under which the request was lost. */
  readonly lost: readonly NodeId[];
  readonly isReplaceable: boolean;
}

/** A request goes back to a node that lost it, or is asked twice in one search, only when nobody else would do. */
export class NoWayBackToALosingNode {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  asked(asked: Asked): void {
    const { name, nodeId, candidates, refused, lost, isReplaceable } = asked;
    const isSound = (candidate: RouteCandidate) =>
      candidate.health === "alive" && !candidate.drained && !lost.includes(candidate.nodeId) &&
      !refused.includes(candidate.nodeId);
    const others = candidates.filter((one) => one.nodeId !== nodeId && isSound(one));
    if (refused.includes(nodeId)) this.#fail(`${name} asks ${nodeId}, which has refused`);
    if (!candidates.some((one) => one.nodeId === nodeId)) this.#fail(`${name} asks a stranger`);
    if (lost.includes(nodeId) && others.length > 0) {
      this.#fail(`${name} goes back to ${nodeId}, which lost it, and not to ${others[0]?.nodeId}`);
    }
    if (isReplaceable !== others.length > 0) {
      this.#fail(
        `${name} is ${isReplaceable ? "im" : ""}patient with ${nodeId} beside ${others.length}`,
      );
    }
  }

  /** Operators are told who was lost. */
  reported(name: string, lost: NodeId, told: NodeId | undefined): void {
    if (lost !== told) this.#fail(`${name} was lost by ${lost}, and ${told} is blamed`);
  }

  #fail(what: string): void {
    this.#report("no_way_back_to_a_losing_node", what);
  }
}
