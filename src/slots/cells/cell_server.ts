import { UnavailableError } from "../../base/mod.ts";
import {
  CELLS_FRAME_BYTES,
  cellsOpeningShape,
  MessageStream,
  refuse,
  required,
  type StreamHandler,
} from "../../calls/mod.ts";
import { sharedBlockTokens, TOKEN_BLOCK } from "../../core/kv_cache/mod.ts";
import type {
  CellPeers,
  CellStore,
  Clock,
  Metrics,
  PeerStream,
  WholeCells,
} from "../../ports/mod.ts";
import { type CellsHeader, cellsTokens, type CellsWish } from "../../protocol/mod.ts";

/** What {@link CellServer} works with. */
export interface CellServerParts {
  /** Where cells outlive runners. */
  readonly store: CellStore;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Moves from here at once: each holds its cells in memory. */
const MOVES_MAX = 4;
/** How long a peer may leave a frame unread. Milliseconds. */
const WRITE_WAIT_MS = 5_000;
/** When to ask again while too many moves run. Milliseconds. */
const BUSY_RETRY_MS = 500;

/** Gives other nodes what runners of this one have computed, or the disk keeps. */
export class CellServer implements StreamHandler {
  readonly streamsPerPeerMax = MOVES_MAX;
  readonly #parts: CellServerParts;
  readonly #givers = new Map<string, Set<Giver>>();
  #moves = 0;
  /** Called when a peer has what it asked for, or was told that it is not here. */
  onServed = () => {};

  constructor(parts: CellServerParts) {
    this.#parts = parts;
  }

  /** As {@link CellPeers.offer}. */
  offer(key: string, giver: Giver): () => void {
    const givers = this.#givers.get(key) ?? new Set();
    this.#givers.set(key, givers.add(giver));
    return () => {
      givers.delete(giver);
      if (givers.size === 0 && this.#givers.get(key) === givers) this.#givers.delete(key);
    };
  }

  /** @throws PeerError for a first frame that makes no sense; UnavailableError `peer_lost` when the peer goes away. */
  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const { key, ...wish } = required(cellsOpeningShape, opening);
    if (this.#moves >= MOVES_MAX) return await refuse(stream, tooMany());
    this.#moves++;
    try {
      const messages = new MessageStream(stream);
      await messages.write({ kind: "looking" });
      const cells = await this.#find(key, wish);
      if (cells === undefined) {
        await messages.write({ kind: "lacking" });
        return await messages.end();
      }
      await messages.write({ kind: "granted", header: cells.header });
      await this.#send(stream, cells.state);
    } finally {
      this.#moves--;
      this.onServed();
    }
  }

  /** What saves most, of the disk or of a runner. */
  async #find(key: string, wish: CellsWish): Promise<WholeCells | undefined> {
    const { store } = this.#parts;
    const headers = await store.list(key);
    const [kept] = headers.map((header) => ({ header, tokens: sharedTokensOf(header, wish) }))
      .filter(({ tokens }) => tokens > wish.readyTokens)
      .toSorted((a, b) => b.tokens - a.tokens || a.header.bytes - b.header.bytes);
    const readyTokens = kept?.tokens ?? wish.readyTokens;
    for (const give of this.#givers.get(key) ?? []) {
      const cells = await give({ ...wish, readyTokens });
      if (cells !== undefined) return cells;
    }
    // What can't be read is as if it were not kept.
    const state = kept && await store.read(key, kept.header.id).catch(() => undefined);
    return kept && state && { header: kept.header, state };
  }

  async #send(stream: PeerStream, state: Uint8Array): Promise<void> {
    const { clock, metrics } = this.#parts;
    for (let at = 0; at < state.length; at += CELLS_FRAME_BYTES) {
      const frame = state.subarray(at, at + CELLS_FRAME_BYTES);
      // A reset makes the write fail: a peer that stopped reading must not keep a move from others.
      const timer = clock.after(WRITE_WAIT_MS, () => stream.reset());
      try {
        await stream.write(frame);
      } finally {
        timer.cancel();
      }
      metrics.increment("odist_cells_sent_bytes_total", {}, frame.length);
    }
    await stream.end();
  }
}

type Giver = Parameters<CellPeers["offer"]>[1];

/** Others are told apart by their first block, so that few are read to their end. */
function sharedTokensOf(header: CellsHeader, { blocks }: CellsWish): number {
  const isLike = sharedBlockTokens(cellsTokens(header, TOKEN_BLOCK), blocks) > 0;
  return isLike ? sharedBlockTokens(cellsTokens(header), blocks) : 0;
}

function tooMany(): UnavailableError {
  return new UnavailableError("queue_full", "Too many cells are on their way from here", {
    retryAfterMs: BUSY_RETRY_MS,
  });
}
