import type { RequestAsker, RequestRow } from "../ports/mod.ts";
import type { Exchange } from "./exchange.ts";

/** Requests for answers that are told of when they are over; the oldest goes. */
const RECENT_MAX = 256;

/** One that is over, and who may be told of it. */
interface Recent {
  readonly asker: string;
  readonly row: RequestRow;
}

/** The requests that this node is answering, by the id that their answers carry, and those that it answered lately. */
export class RunningRequests {
  readonly #byId = new Map<string, Set<Exchange>>();
  readonly #recent: Recent[] = [];

  /** Returns what forgets it again. */
  add(exchange: Exchange): () => void {
    const { requestId } = exchange.origin;
    const same = this.#byId.get(requestId) ?? new Set();
    this.#byId.set(requestId, same.add(exchange));
    return () => {
      same.delete(exchange);
      if (same.size === 0 && this.#byId.get(requestId) === same) this.#byId.delete(requestId);
      const { asker, row } = exchange;
      if (row === undefined) return;
      this.#recent.push({ asker, row });
      if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    };
  }

  /** Those of other families than `cluster`: looking at the cluster is no use of this node. */
  get count(): number {
    return this.#running().filter(({ origin }) => origin.family !== "cluster").length;
  }

  /** Those for answers that `by` may know of: its own, or anyone's with the scope `admin`. Newest last. */
  rows(by: RequestAsker): readonly RequestRow[] {
    const isTold = ({ asker }: { readonly asker: string }) => by.isAdmin || asker === by.asker;
    const running = this.#running().filter(isTold).flatMap(({ row }) => row ?? []);
    return [...this.#recent.filter(isTold).map(({ row }) => row), ...running];
  }

  /** Ends those of this id that `by` may end: its own, or anyone's with the scope `admin`. Returns how many. */
  cancel(requestId: string, by: RequestAsker, asking?: Exchange): number {
    const isOwn = (one: Exchange) => one !== asking && (one.asker === by.asker || by.isAdmin);
    const ended = [...this.#byId.get(requestId) ?? []].filter(isOwn);
    for (const one of ended) one.cancel();
    return ended.length;
  }

  #running(): readonly Exchange[] {
    return [...this.#byId.values()].flatMap((same) => [...same]);
  }
}
