import type { NodeId } from "../../base/mod.ts";
import { AVOIDED_NODES_MAX, FRUITLESS_ATTEMPTS_MAX } from "./limits.ts";

/**
 * Whether and where a request goes on whose runner died, be it here or on another node. A request that kills every runner
 * it meets must end at some time, or one prompt could keep a node in a crash loop; one that makes progress goes on for
 * ever.
 */
export class Resumption {
  #standing: "fresh" | "resumed" = "fresh";
  #avoid: readonly NodeId[] = [];
  #fruitlessAttempts = 0;

  /** `resumed` requests were admitted once: they go to the front and are never refused for a full queue. */
  get standing(): "fresh" | "resumed" {
    return this.#standing;
  }

  /** Nodes under which the request was lost, oldest first. */
  get avoid(): readonly NodeId[] {
    return this.#avoid;
  }

  /** Something new came of the attempt: those before it count no more. */
  progressed(): void {
    this.#fruitlessAttempts = 0;
  }

  /** The request gave its slot back and wants another one, at the front. */
  restarts(): void {
    this.#standing = "resumed";
  }

  /** A runner died under the request; undefined = on this node, alone. */
  lost(nodeId: NodeId | undefined): "resume" | "give_up" {
    if (nodeId !== undefined) {
      const others = this.#avoid.filter((avoided) => avoided !== nodeId);
      this.#avoid = [...others, nodeId].slice(-AVOIDED_NODES_MAX);
    }
    this.#standing = "resumed";
    this.#fruitlessAttempts++;
    return this.#fruitlessAttempts >= FRUITLESS_ATTEMPTS_MAX ? "give_up" : "resume";
  }
}
