import type { ErrorCode, NodeId } from "../../../src/base/mod.ts";
import {
  type AnswerFact,
  AnswerMachine,
  type AnswerOrder,
  type AnswerWish,
} from "../../../src/core/answers/mod.ts";
import type { Watch } from "./checkers/mod.ts";
import type { SimulatedNode } from "./node.ts";
import type { RunEvent } from "./runner.ts";
import { expectedText, shorten, type ShownText, withPieces } from "./script.ts";
import { type Catch, SlotHunt } from "./slot_hunt.ts";
import type { HeldSlot } from "./slots.ts";

/** What a request tells the run it is part of. */
export interface RequestParts {
  readonly watch: Watch;
  /** Called with whom it is served by, before each step of its machine: a fault may strike there. */
  readonly onStep: (request: SimulatedRequest) => void;
}

/** One request of a client to one node. */
export interface SimulatedRequest {
  readonly name: string;
  readonly node: SimulatedNode;
  /** Who computes it now. */
  readonly servedBy: NodeId | undefined;
  readonly isOver: boolean;
  /** The client goes away: it aborts its request, or only reads no more. */
  leave(how: "aborts" | "reads_no_more"): void;
}

/** A slot with the run in it. */
class Attempt {
  readonly nodeId: NodeId;
  readonly events: RunEvent[] = [];
  readonly #slot: HeldSlot;
  #cancel: (() => void) | undefined;
  #isLeft = false;

  constructor(nodeId: NodeId, slot: HeldSlot) {
    this.nodeId = nodeId;
    this.#slot = slot;
  }

  start(order: Extract<AnswerOrder, { kind: "start_run" }>, onEvent: () => void): void {
    this.#cancel = this.#slot.start({ kind: "generate", request: order.request }, (event) => {
      const isLast = event.kind === "finished" || event.kind === "failed";
      if (isLast) this.#cancel = undefined;
      if (!this.#isLeft) {
        this.events.push(event);
        return onEvent();
      }
      // Left: the slot goes back once the runner says that it is free.
      if (isLast) this.#free(event.kind === "failed" && event.code === "runner_lost");
    });
  }

  leave(): void {
    this.#isLeft = true;
    if (this.#cancel === undefined) this.#free(false);
    else this.#cancel();
  }

  lost(): void {
    this.#slot.lost();
  }

  #free(isLost: boolean): void {
    if (isLost) this.#slot.lost();
    else this.#slot.release();
  }
}

/** Carries out what the shipped machine of an answer orders, on one node. */
export class AnswerRequest implements SimulatedRequest {
  readonly name: string;
  readonly node: SimulatedNode;
  readonly #parts: RequestParts;
  readonly #machine: AnswerMachine;
  readonly #expected: ShownText | undefined;
  #shown: ShownText = { content: "", thinking: "" };
  #attempt: Attempt | undefined;
  #hunt: SlotHunt | undefined;
  #waiting: AnswerOrder | undefined;
  #cause: string = "";
  #lost: NodeId[] = [];
  #losses = 0;
  #wasAdmitted = false;
  #isOver = false;
  #isPumping = false;

  constructor(
    node: SimulatedNode,
    asked: { readonly name: string; readonly wish: AnswerWish },
    parts: RequestParts,
  ) {
    this.name = asked.name;
    this.node = node;
    this.#parts = parts;
    this.#machine = new AnswerMachine(asked.wish);
    this.#expected = expectedText(asked.wish);
    parts.watch.ends.began(this.name);
    this.#step({ kind: "begun" });
  }

  get servedBy(): NodeId | undefined {
    return this.#attempt?.nodeId;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  leave(how: "aborts" | "reads_no_more"): void {
    if (this.#isOver) return;
    this.#hunt?.stop();
    if (how === "reads_no_more") {
      this.#obey(this.#machine.step({ kind: "abandoned" }));
      return this.#end("left");
    }
    // An abort is seen by whatever waits, and then nobody reads any more.
    this.#step({ kind: "failed", code: undefined }, "left");
    this.#obey(this.#machine.step({ kind: "abandoned" }));
  }

  #step(fact: AnswerFact, cause = ""): void {
    if (this.#isOver) return;
    this.#parts.onStep(this);
    if (this.#isOver || this.node.process.isStopped) return;
    this.#waiting = undefined;
    this.#cause = cause;
    this.#obey(this.#machine.step(fact));
  }

  #obey(orders: readonly AnswerOrder[]): void {
    for (const order of orders) {
      switch (order.kind) {
        case "show":
          this.#show(order);
          break;
        case "leave_run":
          this.#parts.watch.slots.left(this.name);
          this.#attempt?.leave();
          this.#attempt = undefined;
          break;
        case "report_loss":
          this.#reportLoss(order);
          break;
        case "end":
          this.#end("whole");
          break;
        case "fail":
          this.#end(order.why === "cause" ? this.#cause : order.why);
          break;
        default:
          this.#waiting = order;
          this.#begin(order);
      }
    }
  }

  #begin(order: AnswerOrder): void {
    switch (order.kind) {
      case "acquire_slot": {
        const { afterMs = 0 } = order;
        if (afterMs > 0) {
          this.node.process.after(afterMs, () => {
            const { afterMs: _, ...now } = order;
            if (this.#waiting === order) this.#begin(now);
          });
          return;
        }
        this.#hunt = new SlotHunt(this.node, { ...order, name: this.name, lost: this.#lost }, {
          watch: this.#parts.watch,
          done: (caught) => this.#caught(caught),
        });
        return;
      }
      case "start_run":
        this.#attempt?.start(order, () => this.#pumpSoon());
        return;
      case "read_on":
        return this.#pumpSoon();
      case "shorten_prompt": {
        const attempt = this.#attempt;
        const { prompt } = this.#machine.sequence;
        // Its runner counts tokens, and may die over it.
        this.node.process.after(3, () => {
          if (this.#attempt !== attempt || this.#waiting?.kind !== "shorten_prompt") return;
          this.#step({ kind: "prompt_shortened", shorter: shorten(prompt) });
        });
      }
    }
  }

  #caught(caught: Catch): void {
    if (this.#isOver) {
      if (caught.kind === "held") caught.slot.release();
      return;
    }
    if (caught.kind === "failed") {
      return this.#step({ kind: "failed", code: caught.code }, caught.code);
    }
    const { nodeId, slot } = caught;
    this.#parts.watch.slots.held(this.name);
    this.#attempt = new Attempt(nodeId, slot);
    const nowMs = this.node.process.monotonicMs();
    this.#step({ kind: "slot_held", nodeId, loadNs: slot.loadNs, nowMs });
  }

  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.node.process.after(0, () => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  /** One event of the run, if it is waited for. */
  #pump(): void {
    const kind = this.#waiting?.kind;
    if (kind !== "start_run" && kind !== "read_on") return;
    const event = this.#attempt?.events.shift();
    switch (event?.kind) {
      case "started":
        this.#wasAdmitted = true;
        return this.#step({
          kind: "run_started",
          promptTokens: event.promptTokens,
          cachedTokens: event.cachedTokens,
        });
      case "tokens": {
        this.#losses = 0;
        const nowMs = this.node.process.monotonicMs();
        return this.#step({ kind: "tokens_came", tokens: event.tokens, nowMs });
      }
      case "finished":
        return this.#step({ ...event, kind: "run_finished" });
      case "failed": {
        const code = event.code as ErrorCode; // The world's own codes.
        return this.#step({ kind: "failed", code }, code);
      }
    }
  }

  #show(order: Extract<AnswerOrder, { kind: "show" }>): void {
    this.#shown = withPieces(this.#shown, order.pieces);
    if (this.#expected === undefined) return;
    this.#parts.watch.bytes.shown(this.name, this.#shown, this.#expected);
  }

  #reportLoss(order: Extract<AnswerOrder, { kind: "report_loss" }>): void {
    this.#parts.watch.slots.left(this.name);
    const attempt = this.#attempt;
    this.#attempt = undefined;
    if (attempt === undefined) return;
    this.#losses++;
    this.#wasAdmitted = true;
    this.#lost = [...this.#lost.filter((nodeId) => nodeId !== attempt.nodeId), attempt.nodeId];
    if (order.decision === "resume") this.#parts.watch.ends.goesOn(this.name, this.#losses);
    this.#parts.watch.ways.reported(this.name, attempt.nodeId, order.nodeId);
    attempt.lost();
  }

  #end(how: string): void {
    this.#isOver = true;
    const { bytes, ends, slots } = this.#parts.watch;
    if (how === "whole") {
      bytes.ended(this.name, this.#shown, this.#expected ?? { content: "", thinking: "" });
    }
    slots.over(this.name);
    ends.ended({
      name: this.name,
      wasAdmitted: this.#wasAdmitted,
      how,
      losses: this.#losses,
      isAnswerable: this.#expected !== undefined,
    });
  }
}
