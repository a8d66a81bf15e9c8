import type { RouteCandidate } from "../../../../src/core/scheduler/mod.ts";
import type { Report } from "./mod.ts";

/** Losses in a row without a new token after which a request may be given up. */
const LOSSES_BEFORE_GIVING_UP = 3;

/** How a request ended, and what it had been through. */
export interface RequestEnd {
  readonly name: string;
  /** A runner had accepted its prompt, or it held a slot that it lost. */
  readonly wasAdmitted: boolean;
  /** `whole`, `left` by its client, `lost_too_often`, or the code it failed with. */
  readonly how: string;
  /** Since its last token. */
  readonly losses: number;
  /** Its prompt fits, or can be made to. */
  readonly isAnswerable: boolean;
}

/** Every request ends, and what was once admitted ends for want of room never, and otherwise only when nobody could go on. */
export class AdmittedRequestsEnd {
  readonly #report: Report;
  readonly #open = new Set<string>();
  /** A load failed by order: what waits for it may fail with it. */
  loadsFailed = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  began(name: string): void {
    this.#open.add(name);
  }

  ended(end: RequestEnd): void {
    const { name, how, wasAdmitted, losses, isAnswerable } = end;
    if (!this.#open.delete(name)) return this.#fail(`${name} ends twice`);
    if (how === "whole" || how === "left") return;
    if (how === "lost_too_often") {
      if (losses !== LOSSES_BEFORE_GIVING_UP) {
        this.#fail(`${name} is given up after ${losses} losses without a token`);
      }
      return;
    }
    if (how === "prompt_too_long" && !isAnswerable) return;
    if (!wasAdmitted && how !== "prompt_too_long") return;
    if (how === "node_unreachable") return;
    if (how === "load_failed" && this.loadsFailed > 0) return;
    this.#fail(`${name} was admitted and fails with ${how}`);
  }

  /** A runner was lost, and the request is to go on. */
  goesOn(name: string, losses: number): void {
    if (losses < LOSSES_BEFORE_GIVING_UP) return;
    this.#fail(`${name} goes on after ${losses} losses without a token`);
  }

  /** A search gave up: nobody may be left whom it did not ask. */
  gaveUp(
    name: string,
    candidates: readonly RouteCandidate[],
    refused: readonly string[],
  ): void {
    const left = candidates.filter(({ health, nodeId }) =>
      health !== "down" && !refused.includes(nodeId)
    );
    if (left.length > 0 && refused.length < 8) {
      this.#fail(`${name} gives up without asking ${left.map(({ nodeId }) => nodeId)}`);
    }
  }

  /** The asking process is gone, and its client knows. */
  gone(name: string): void {
    this.#open.delete(name);
  }

  /** Long after the last fault. */
  atRest(): void {
    for (const name of this.#open) this.#fail(`${name} never ends`);
  }

  #fail(what: string): void {
    this.#report("every_admitted_request_ends", what);
  }
}
