import type { RequestAsker } from "../ports/mod.ts";
import type { Exchange } from "./exchange.ts";

/** The requests that this node is answering, by the id that their answers carry. */
export class RunningRequests {
  readonly #byId = new Map<string, Set<Exchange>>();

  /** Returns what forgets it again. */
  add(exchange: Exchange): () => void {
    const { requestId } = exchange.origin;
    const same = this.#byId.get(requestId) ?? new Set();
    this.#byId.set(requestId, same.add(exchange));
    return () => {
      same.delete(exchange);
      if (same.size === 0 && this.#byId.get(requestId) === same) this.#byId.delete(requestId);
    };
  }

  /** Those of other families than `cluster`: looking at the cluster is no use of this node. */
  get count(): number {
    return [...this.#byId.values()].flatMap((same) => [...same])
      .filter(({ origin }) => origin.family !== "cluster").length;
  }

  /** Ends those of this id that `by` may end: its own, or anyone's with the scope `admin`. Returns how many. */
  cancel(requestId: string, by: RequestAsker, asking?: Exchange): number {
    const isOwn = (one: Exchange) => one !== asking && (one.asker === by.asker || by.isAdmin);
    const ended = [...this.#byId.get(requestId) ?? []].filter(isOwn);
    for (const one of ended) one.cancel();
    return ended.length;
  }
}
