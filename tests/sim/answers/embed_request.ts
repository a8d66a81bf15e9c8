import type { NodeId } from "../../../src/base/mod.ts";
import { Resumption } from "../../../src/core/answers/mod.ts";
import type { RequestParts, SimulatedRequest } from "./answer_request.ts";
import type { SimulatedNode } from "./node.ts";
import { type RunEvent, vectorOf } from "./runner.ts";
import { type Catch, SlotHunt } from "./slot_hunt.ts";
import type { HeldSlot } from "./slots.ts";

/** One embedding, which goes on after a lost runner by the same rules as an answer. */
export class EmbedRequest implements SimulatedRequest {
  readonly name: string;
  readonly node: SimulatedNode;
  readonly #input: number;
  readonly #parts: RequestParts;
  readonly #resumption = new Resumption();
  #hunt: SlotHunt | undefined;
  #slot: HeldSlot | undefined;
  #servedBy: NodeId | undefined;
  #cancel: (() => void) | undefined;
  #lost: NodeId[] = [];
  #losses = 0;
  #isOver = false;

  constructor(
    node: SimulatedNode,
    asked: { readonly name: string; readonly input: number },
    parts: RequestParts,
  ) {
    this.name = asked.name;
    this.node = node;
    this.#input = asked.input;
    this.#parts = parts;
    parts.watch.ends.began(this.name);
    this.#acquire();
  }

  get servedBy(): NodeId | undefined {
    return this.#servedBy;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  leave(): void {
    if (this.#isOver) return;
    this.#hunt?.stop();
    const isRunning = this.#cancel !== undefined;
    // A cancelled request is answered after its batch, and only then is its slot free.
    if (!isRunning) this.#free();
    this.#end("left");
  }

  #acquire(): void {
    const { standing, avoid } = this.#resumption;
    const hunted = { name: this.name, standing, avoid, lost: this.#lost, promptTokens: 1 };
    this.#hunt = new SlotHunt(this.node, hunted, {
      watch: this.#parts.watch,
      done: (caught) => this.#caught(caught),
    });
  }

  #caught(caught: Catch): void {
    if (this.#isOver) {
      if (caught.kind === "held") caught.slot.release();
      return;
    }
    this.#parts.onStep(this);
    if (this.node.process.isStopped) return;
    if (caught.kind === "failed") return this.#end(caught.code);
    this.#slot = caught.slot;
    this.#servedBy = caught.nodeId;
    this.#cancel = caught.slot.start({ kind: "embed", input: this.#input }, (event) => {
      this.#cancel = undefined;
      this.node.process.after(0, () => this.#said(event));
    });
  }

  #said(event: RunEvent): void {
    if (this.#isOver) return this.#free();
    this.#parts.onStep(this);
    if (this.node.process.isStopped) return;
    if (event.kind === "embedded") {
      this.#parts.watch.bytes.embedded(this.name, event.value, vectorOf(this.#input));
      this.#free();
      return this.#end("whole");
    }
    const nodeId = this.#servedBy;
    this.#losses++;
    if (nodeId !== undefined) this.#lost = [...this.#lost.filter((one) => one !== nodeId), nodeId];
    this.#slot?.lost();
    this.#slot = undefined;
    const decision = this.#resumption.lost(nodeId);
    if (decision === "give_up") return this.#end("lost_too_often");
    this.#parts.watch.ends.goesOn(this.name, this.#losses);
    this.#acquire();
  }

  #free(): void {
    this.#slot?.release();
    this.#slot = undefined;
  }

  #end(how: string): void {
    this.#isOver = true;
    const { name } = this;
    const wasAdmitted = this.#losses > 0;
    const losses = this.#losses;
    this.#parts.watch.ends.ended({ name, wasAdmitted, how, losses, isAnswerable: true });
  }
}
