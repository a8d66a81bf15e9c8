import { assert, assertNever, type ErrorCode, type NodeId } from "../../base/mod.ts";
import {
  chooseRoute,
  type RouteCandidate,
  type RouteDecision,
  type RouteRequest,
  type ScoredRoute,
} from "../scheduler/mod.ts";
import { SEARCH_ATTEMPTS_MAX } from "./limits.ts";

/** Refusals that another node may not share. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "queue_full",
  "deadline_unmet",
  "stopping",
  "model_too_large",
  "model_not_found",
  "load_failed",
  "load_timeout",
  "peer_lost",
  "node_unreachable",
  "runner_lost",
  "peer_refused",
  "malformed_frame",
  "unknown_version",
  "unsupported_capability",
  "disk_full",
  "corrupt_file",
  "storage_failed",
]);

/** Refusals that only ask for another time. */
const COME_BACK: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["queue_full", "deadline_unmet"]);

/** What was refused, in the order of asking. */
interface RefusedRoute {
  readonly nodeId: NodeId;
  readonly reason: ErrorCode;
}

/** Facts the driver tells a search. */
export type SearchFact =
  /** Who holds the model now, this node included. */
  | { readonly kind: "candidates_known"; readonly candidates: readonly RouteCandidate[] }
  | { readonly kind: "granted" }
  /** Its machine has to wake first, and who holds the model may be looked at again meanwhile: nobody was asked. */
  | { readonly kind: "put_off" }
  /** The node that was asked refused or is gone; undefined = for a reason that is no node's, such as a caller that left. */
  | { readonly kind: "refused"; readonly code: ErrorCode | undefined };

/** What the driver does next; there is one order at a time. */
export type SearchOrder =
  /** Look who holds the model; waits for `candidates_known`. */
  | { readonly kind: "look_around" }
  /** Waits for `granted` or `refused`. */
  | {
    readonly kind: "ask";
    readonly route: ScoredRoute;
    /** Whether another node could be asked instead: then there is less patience with this one. */
    readonly isReplaceable: boolean;
    readonly decision: RouteDecision;
  }
  | { readonly kind: "hold_slot" }
  /** Fail with what was just refused. */
  | { readonly kind: "pass_on" }
  /**
   * Nobody is left to ask. `told` is the refusal to tell, by its place in the order of asking; undefined = nobody could be
   * asked. `isUnreachable`: all of them were lost, so that what to tell is that nobody can be reached.
   */
  | {
    readonly kind: "give_up";
    readonly told: number | undefined;
    readonly isUnreachable: boolean;
    readonly decision: RouteDecision;
  };

/** What a search is for. */
export interface SlotWish extends Omit<RouteRequest, "refused"> {
  /** Whether several nodes together could hold it where none does alone; default false. */
  readonly mayBeSplit?: boolean;
}

/** One search for a slot over all nodes that hold a model: the best is asked, on a refusal the next, each once. */
export class SlotSearch {
  readonly #request: SlotWish;
  readonly #refused: RefusedRoute[] = [];
  #asked: NodeId | undefined;

  constructor(request: SlotWish) {
    this.#request = request;
  }

  /** Takes one fact and returns what the driver must now do. The first one is `candidates_known`. */
  step(fact: SearchFact): SearchOrder {
    switch (fact.kind) {
      case "candidates_known":
        return this.#choose(fact.candidates);
      case "granted":
        this.#answered();
        return { kind: "hold_slot" };
      case "put_off":
        this.#answered();
        return { kind: "look_around" };
      case "refused": {
        const nodeId = this.#answered();
        const { code } = fact;
        if (code === undefined || !ELSEWHERE.has(code)) return { kind: "pass_on" };
        this.#refused.push({ nodeId, reason: code });
        return { kind: "look_around" };
      }
      default:
        return assertNever(fact);
    }
  }

  #choose(candidates: readonly RouteCandidate[]): SearchOrder {
    assert(this.#asked === undefined, "One node is asked at a time", { asked: this.#asked });
    const decision = chooseRoute({ ...this.#request, refused: this.#refused }, candidates);
    const { route, runnersUp } = decision;
    const isHopeless = route?.rank === "suspect" && this.#isToBeSplit();
    if (route === undefined || isHopeless || this.#refused.length >= SEARCH_ATTEMPTS_MAX) {
      return { kind: "give_up", ...this.#worthTelling(), decision };
    }
    const { nodeId } = route;
    const isNew = !this.#refused.some((refusal) => refusal.nodeId === nodeId);
    assert(isNew, "Each node is asked once", { nodeId });
    this.#asked = nodeId;
    const isReplaceable = runnersUp.some(({ rank }) => rank === "sound");
    return { kind: "ask", route, isReplaceable, decision };
  }

  #answered(): NodeId {
    const asked = this.#asked;
    assert(asked !== undefined, "Only a node that was asked answers");
    this.#asked = undefined;
    return asked;
  }

  /** Those who are there hold it together sooner than it shows whether one that fell silent would hold it alone. */
  #isToBeSplit(): boolean {
    const { told } = this.#worthTelling();
    return this.#request.mayBeSplit === true && told !== undefined &&
      this.#refused[told]?.reason === "model_too_large";
  }

  /** Of what all nodes said, what helps the caller most: to come back later, then what is wrong with the model. */
  #worthTelling(): { readonly told: number | undefined; readonly isUnreachable: boolean } {
    if (this.#refused.length === 0) return { told: undefined, isUnreachable: true };
    const isLost = ({ reason }: RefusedRoute) => reason === "peer_lost" || reason === "runner_lost";
    const full = this.#refused.findIndex(({ reason }) => COME_BACK.has(reason));
    const said = full >= 0 ? full : this.#refused.findIndex((refusal) => !isLost(refusal));
    return { told: Math.max(0, said), isUnreachable: said < 0 };
  }
}
