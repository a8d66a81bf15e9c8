import type { CellPeers, CellStore, Clock, WholeCells } from "../ports/mod.ts";
import { isEdgeError } from "../base/mod.ts";
import {
  CELLS_PART_BYTES,
  type CellsHeader,
  type CellsReply,
  type CellsWish,
  type RunnerCommand,
} from "../protocol/mod.ts";

/** How long a runner that is to end may take to hand over what it computed. Milliseconds. */
const HAND_OVER_MS_MAX = 5_000;

/** How long a runner may take to find what another node asks for: a batch may be under way. Milliseconds. */
const GIVE_MS_MAX = 3_000;

/** What one runner's cells travel with. */
export interface CellTrafficOptions {
  readonly store: CellStore;
  /** Other nodes that may have cells; absent = there are none. */
  readonly peers?: CellPeers | undefined;
  /** What they hold for. */
  readonly key: string;
  readonly send: (command: RunnerCommand) => Promise<void>;
  readonly clock: Pick<Clock, "after">;
}

/** The node's side of cells that leave a runner and come back to the next one. */
export class CellTraffic {
  readonly #options: CellTrafficOptions;
  #arriving: Uint8Array<ArrayBuffer> | undefined;
  /** By number, who waits for what another node asked for. */
  readonly #asked = new Map<number, (cells: WholeCells | undefined) => void>();
  readonly #withdraw: () => void;
  #askLast = 0;
  readonly #kept = Promise.withResolvers<void>();
  #work: Promise<void> = Promise.resolve();
  /** Resolves once the runner knows what is kept. */
  readonly told: Promise<void>;

  constructor(options: CellTrafficOptions) {
    this.#options = options;
    const { store, key, send } = options;
    this.#do(async () => await send({ kind: "cells_known", headers: await store.list(key) }));
    this.told = this.#work;
    this.#withdraw = options.peers?.offer(key, (wish) => this.#ask(wish)) ?? (() => {});
  }

  receive(reply: CellsReply): void {
    const { store, key } = this.#options;
    switch (reply.kind) {
      case "cells":
        return this.#take(reply);
      case "cells_wanted":
        return this.#do(() => this.#give(reply.id));
      case "cells_damaged":
        return this.#do(() => store.remove(key, reply.id));
      case "cells_kept":
        return this.#kept.resolve();
      case "cells_lacking":
        return this.#asked.get(reply.ask)?.(undefined);
      case "cells_sought":
        return void this.#seek(reply);
    }
  }

  /** Has the runner hand over all that it computed; resolves once it is kept, or enough was waited for. */
  async handOver(): Promise<void> {
    const { send, clock } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.after(HAND_OVER_MS_MAX, resolve);
    void send({ kind: "cells_keep" });
    await Promise.race([this.#kept.promise.then(() => this.#work), promise]);
    timer.cancel();
  }

  /** The runner is gone. */
  lose(): void {
    this.#withdraw();
    for (const tell of this.#asked.values()) tell(undefined);
    this.#kept.resolve();
  }

  /** What the runner has for another node. */
  async #ask(wish: CellsWish): Promise<WholeCells | undefined> {
    const ask = ++this.#askLast;
    const { promise, resolve } = Promise.withResolvers<WholeCells | undefined>();
    const timer = this.#options.clock.after(GIVE_MS_MAX, () => resolve(undefined));
    this.#asked.set(ask, resolve);
    void this.#options.send({ kind: "cells_asked", ask, wish });
    const cells = await promise;
    timer.cancel();
    this.#asked.delete(ask);
    return cells;
  }

  /** Passes on to the runner what other nodes have, and tells the end in any case: it waits for it. */
  async #seek({ id, ...sought }: Extract<CellsReply, { kind: "cells_sought" }>): Promise<void> {
    const { peers, key, send } = this.#options;
    const found = await peers?.fetch({ ...sought, key });
    await send({ kind: "cells_moved", id, ...found && { header: found.header } });
    if (found === undefined) return;
    try {
      for await (const part of found.parts) await send({ kind: "cells", id, part, isLast: false });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
    } finally {
      await send({ kind: "cells", id, part: new Uint8Array(0), isLast: true });
    }
  }

  #take({ header, replaces, part, at, ask }: Extract<CellsReply, { kind: "cells" }>): void {
    if (at === 0) this.#arriving = new Uint8Array(new ArrayBuffer(header.bytes));
    const state = this.#arriving;
    if (state === undefined || at + part.length > state.length) return;
    state.set(part, at);
    if (at + part.length < header.bytes) return;
    this.#arriving = undefined;
    if (ask !== undefined) return this.#asked.get(ask)?.({ header, state });
    this.#do(() => this.#options.store.write(this.#options.key, { header, state, replaces }));
  }

  async #give(id: CellsHeader["id"]): Promise<void> {
    const { store, key, send } = this.#options;
    // Whoever waits for it is told in any case.
    const read = await store.read(key, id).catch(() => undefined);
    const state = read ?? new Uint8Array(0);
    for (let at = 0; at === 0 || at < state.length; at += CELLS_PART_BYTES) {
      const part = state.subarray(at, at + CELLS_PART_BYTES);
      await send({ kind: "cells", id, part, isLast: at + CELLS_PART_BYTES >= state.length });
    }
  }

  /** One after another, as they were asked for. */
  #do(work: () => Promise<void>): void {
    // What can't be kept is computed again.
    this.#work = this.#work.then(work).catch(() => {});
  }
}
