import type { SchedulerView } from "../../../../src/core/scheduler/mod.ts";
import type { Report } from "./mod.ts";

/** A runner never has more runs than slots, a request never two slots, and in the end every slot is free. */
export class NoSlotDoubleBooked {
  readonly #report: Report;
  /** Requests that hold a slot and did not leave it. */
  readonly #holding = new Set<string>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** A run begins in a runner that has `running` others. */
  started(runner: { readonly name: string; readonly slots: number }, running: number): void {
    if (running < runner.slots) return;
    this.#fail(`${runner.name} has ${runner.slots} slots and gets run ${running + 1}`);
  }

  held(request: string): void {
    if (this.#holding.has(request)) this.#fail(`${request} holds two slots`);
    this.#holding.add(request);
  }

  /** It left its slot, or lost it. */
  left(request: string): void {
    if (!this.#holding.delete(request)) {
      this.#fail(`${request} leaves a slot that it does not hold`);
    }
  }

  /** A request is over: nothing may be held for it. */
  over(request: string): void {
    if (this.#holding.has(request)) this.#fail(`${request} is over and holds a slot`);
  }

  /** The asking process is gone. */
  gone(request: string): void {
    this.#holding.delete(request);
  }

  /** Everything has come to rest. */
  atRest(node: string, view: SchedulerView): void {
    if (view.running > 0) this.#fail(`${view.running} slots of ${node} are held for nobody`);
    if (view.waiting > 0) this.#fail(`${view.waiting} requests wait at ${node} for nobody`);
  }

  #fail(what: string): void {
    this.#report("no_slot_double_booked", what);
  }
}
