import {
  errorMessage,
  isEdgeError,
  type NodeId,
  PeerError,
  UnavailableError,
} from "../../base/mod.ts";
import {
  CELLS_PURPOSE,
  cellsAnswerShape,
  MessageStream,
  openPurpose,
  readAnswer,
  required,
  type StreamRouter,
} from "../../calls/mod.ts";
import {
  computeMsOf,
  namedTokens,
  paysToMove,
  sharedBlockTokens,
} from "../../core/kv_cache/mod.ts";
import type {
  CellPeers,
  Log,
  MovedCells,
  PeerAddress,
  PeerStream,
  SoughtCells,
  Transport,
} from "../../ports/mod.ts";
import { type CellsHeader, cellsTokens } from "../../protocol/mod.ts";
import { CellServer, type CellServerParts } from "./cell_server.ts";

/** What {@link CellMoves} works with. */
export interface CellMovesParts extends CellServerParts {
  readonly log: Log;
}

/** The other nodes; there are none before this one has joined them. */
export interface CellCluster {
  readonly transport: Pick<Transport, "openStream">;
  readonly router: Pick<StreamRouter, "register">;
  readonly views: {
    /** Where a member listens; undefined = it is none, or it can't be asked now. */
    reachable(nodeId: NodeId): PeerAddress | undefined;
  };
}

/** How long a node may take to say that it looks, its connection included. Milliseconds; what it would save waits. */
const FIRST_WORD_MS = 500;
/** How long it may take to find cells and to send the first of them, where computing all that is sought takes longer. */
const FIND_MS = 4_000;
/** By what comes first it is measured how fast the rest would come. */
const PROBE_BYTES = 1024 * 1024;
/** What is shorter can't be told from nothing. Milliseconds. */
const PROBE_MS_MIN = 1;
/** Weight of a new move's speed against all before it: a quarter, as links change and moves are few. */
const SPEED_WEIGHT = 1 / 4;
/** How long a node that stops stays for those who go on with its answers. Milliseconds. */
const LINGER_MS = 2_000;

/** Moves cells between this node and the others. */
export class CellMoves implements CellPeers {
  readonly #parts: CellMovesParts;
  readonly #server: CellServer;
  #cluster: CellCluster | undefined;
  #bytesPerMs: number | undefined;

  constructor(parts: CellMovesParts) {
    this.#parts = parts;
    this.#server = new CellServer(parts);
  }

  /** From now on there are others. */
  join(cluster: CellCluster): void {
    this.#cluster = cluster;
    cluster.router.register(CELLS_PURPOSE, this.#server);
  }

  /** How fast cells came here lately, whoever had them; undefined = none did. */
  get bytesPerMs(): number | undefined {
    return this.#bytesPerMs;
  }

  offer(...offered: Parameters<CellPeers["offer"]>): () => void {
    return this.#server.offer(...offered);
  }

  /** Stays until so many nodes have asked for what was computed for them, or a while is over. */
  async linger(asksMax: number): Promise<void> {
    if (asksMax === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(LINGER_MS, resolve);
    let left = asksMax;
    this.#server.onServed = () => --left === 0 && resolve();
    await promise;
    timer.cancel();
  }

  async fetch(sought: SoughtCells): Promise<MovedCells | undefined> {
    for (const keeper of sought.keepers) {
      const peer = this.#cluster?.views.reachable(keeper);
      if (peer === undefined) continue;
      try {
        const moved = await this.#fetchFrom(peer, sought);
        if (moved !== undefined) return moved;
        this.#note(peer, { outcome: "declined" });
      } catch (error) {
        if (!isEdgeError(error)) throw error;
        this.#note(peer, { outcome: "failed", reason: errorMessage(error) });
      }
    }
    return undefined;
  }

  /** Undefined = it has nothing, or to compute it is sooner. @throws EdgeError. */
  async #fetchFrom(peer: PeerAddress, sought: SoughtCells): Promise<MovedCells | undefined> {
    const incoming = await this.#open(peer, sought);
    try {
      const header = await incoming.header(findMsOf(sought));
      if (header === undefined) return undefined;
      const figures = figuresOf(header, sought);
      const { frames: first, bytesPerMs } = await incoming.probe(header);
      this.#bytesPerMs = averaged(this.#bytesPerMs, bytesPerMs);
      if (!paysToMove({ ...figures, bytesPerMs })) return undefined;
      const parts = this.#receive(incoming, { peer, header, first });
      // What is not here by then could have been computed.
      incoming.limit(computeMsOf(figures) ?? 0);
      incoming.keep();
      return { header, parts };
    } finally {
      incoming.close();
    }
  }

  async #open(peer: PeerAddress, { key, wish }: SoughtCells): Promise<IncomingCells> {
    const cluster = this.#cluster;
    if (cluster === undefined) throw lost(peer);
    const late = new AbortController();
    const { clock } = this.#parts;
    const timer = clock.after(FIRST_WORD_MS, () => late.abort(lost(peer)));
    try {
      const opening = { purpose: CELLS_PURPOSE, key, ...wish };
      const stream = await openPurpose(cluster.transport, { peer, opening }, late.signal);
      return new IncomingCells(stream, clock);
    } finally {
      timer.cancel();
    }
  }

  async *#receive(
    incoming: IncomingCells,
    of: {
      readonly peer: PeerAddress;
      readonly header: CellsHeader;
      readonly first: readonly Uint8Array[];
    },
  ): AsyncGenerator<Uint8Array> {
    const { peer, header, first } = of;
    const { clock } = this.#parts;
    let bytes = 0;
    let outcome = "failed";
    try {
      for (const frame of first) yield (bytes += frame.length, frame);
      while (bytes < header.bytes) {
        const frame = await incoming.frame(header.bytes - bytes);
        yield (bytes += frame.length, frame);
      }
      outcome = "moved";
    } finally {
      incoming.discard();
      const tookMs = Math.round(clock.monotonicMs() - incoming.grantedMs);
      this.#note(peer, { outcome, tokens: header.tokens.length >> 2, bytes, tookMs });
    }
  }

  #note(
    { nodeId }: PeerAddress,
    about: { readonly outcome: string } & Readonly<Record<string, string | number>>,
  ): void {
    const { log, metrics } = this.#parts;
    metrics.increment("odist_cells_moves_total", { outcome: about.outcome });
    log.log("debug", "cells_move", { node: nodeId, ...about });
  }
}

function averaged(before: number | undefined, measured: number): number {
  return before === undefined ? measured : before + (measured - before) * SPEED_WEIGHT;
}

/** What a move of these would save, and take. */
function figuresOf(header: CellsHeader, { wish, msPerToken }: SoughtCells) {
  const tokens = cellsTokens(header);
  const savedTokens = sharedBlockTokens(tokens, wish.blocks) - wish.readyTokens;
  // What nobody has computed here is as fast as where it was.
  return {
    bytes: header.bytes,
    savedTokens,
    msPerToken: msPerToken ?? header.computeMs / tokens.length,
  };
}

/** How long whoever seeks these waits for a find. Milliseconds. */
function findMsOf({ wish, msPerToken }: SoughtCells): number {
  const savedTokens = namedTokens(wish.blocks) - wish.readyTokens;
  return Math.min(FIND_MS, computeMsOf({ savedTokens, msPerToken }) ?? FIND_MS);
}

function lost(peer: PeerAddress): UnavailableError {
  return new UnavailableError("peer_lost", `Node ${peer.nodeId} does not say whether it has cells`);
}

/** One stream of cells, from the first word on. Each wait has a limit, after which the stream is reset. */
class IncomingCells {
  readonly #stream: PeerStream;
  readonly #clock: CellServerParts["clock"];
  readonly #messages: MessageStream;
  #timer: { cancel(): void };
  #isKept = false;
  grantedMs = 0;

  constructor(stream: PeerStream, clock: CellServerParts["clock"]) {
    this.#stream = stream;
    this.#clock = clock;
    this.#messages = new MessageStream(stream);
    this.#timer = clock.after(FIRST_WORD_MS, () => stream.reset());
  }

  /** From now on it may take so long. Milliseconds. */
  limit(ms: number): void {
    this.#timer.cancel();
    this.#timer = this.#clock.after(ms, () => this.#stream.reset());
  }

  /** What will come; undefined = nothing. */
  async header(findMs: number): Promise<CellsHeader | undefined> {
    readAnswer(cellsAnswerShape, "looking", await this.#messages.read());
    this.limit(findMs);
    const message = await this.#messages.read();
    this.grantedMs = this.#clock.monotonicMs();
    if (required(cellsAnswerShape, message).kind === "lacking") return undefined;
    return readAnswer(cellsAnswerShape, "granted", message).header;
  }

  /** The first of it, and how fast it came. */
  async probe({ bytes: bytesMax }: CellsHeader) {
    const frames: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < Math.min(PROBE_BYTES, bytesMax)) {
      const frame = await this.frame(bytesMax - bytes);
      frames.push(frame);
      bytes += frame.length;
    }
    const tookMs = Math.max(PROBE_MS_MIN, this.#clock.monotonicMs() - this.grantedMs);
    return { frames, bytesPerMs: bytes / tookMs };
  }

  /** The next frame. @throws PeerError `malformed_frame` for one that is empty, too long, or missing. */
  async frame(bytesMax: number): Promise<Uint8Array> {
    const frame = await this.#stream.read();
    if (frame !== undefined && frame.length > 0 && frame.length <= bytesMax) return frame;
    throw new PeerError("malformed_frame", `A node sent ${frame?.length ?? 0} bytes of cells`);
  }

  /** It goes on when it is closed. */
  keep(): void {
    this.#isKept = true;
  }

  close(): void {
    if (!this.#isKept) this.discard();
  }

  discard(): void {
    this.#timer.cancel();
    this.#stream.reset();
  }
}
