import {
  errorMessage,
  Heartbeat,
  isEdgeError,
  type NodeId,
  SilenceWatch,
  UnavailableError,
} from "../base/mod.ts";
import {
  MessageStream,
  openPurpose,
  readAnswer,
  SHARD_PURPOSE,
  shardReplyShape,
  TUNNEL_PURPOSE,
} from "../calls/mod.ts";
import type {
  BlobRange,
  Clock,
  Log,
  Metrics,
  PeerAddress,
  PeerStream,
  Transport,
} from "../ports/mod.ts";
import { fromWireError, readShape } from "../protocol/mod.ts";
import type { Digest } from "../base/mod.ts";
import {
  SHARD_ANSWER_MS,
  SHARD_BEAT_MS,
  SHARD_CONNECT_MS,
  SHARD_GRANT_MS,
  SHARD_SILENCE_MS,
} from "./limits.ts";
import { carryIn, carryOut, isConnectionLoss } from "./tunnel.ts";
import { type TensorPlace, WeightCutter } from "./weight_references.ts";

/** What workers of other nodes are reached by. */
export interface LentWorkerParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What is asked of a worker's node. */
export interface WorkerWish {
  readonly name: string;
  readonly blob: Digest;
  readonly memoryBytes: number;
  /** That it should compute on; absent = the cores. */
  readonly device?: { readonly name: string; readonly bytes: number } | undefined;
  /** Where the model's weights lie in its file, by their names. */
  readonly tensors: ReadonlyMap<string, TensorPlace>;
  /** The file, and the parts of it that the worker needs. */
  readonly weights: { readonly blobBytes: number; readonly ranges: readonly BlobRange[] };
}

/**
 * A worker on another node, and a port of this machine that leads to it. It lives as long as this does: until it is closed,
 * or lost.
 */
export class LentWorker {
  readonly nodeId: NodeId;
  /** On the loopback address. */
  readonly port: number;
  /** Resolves when the worker is gone; `isLost` but after {@link close}. `isNodeThere`: its node said so itself. */
  readonly ended: Promise<
    { readonly isLost: boolean; readonly isNodeThere: boolean; readonly reason: string }
  >;
  /** Resolves when its node says that it should be done without; maybe never. */
  readonly leaving: Promise<void>;
  readonly #leave = Promise.withResolvers<void>();
  readonly #parts: LentWorkerParts;
  readonly #peer: PeerAddress;
  readonly #shardId = crypto.randomUUID();
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #end = Promise.withResolvers<Awaited<LentWorker["ended"]>>();
  readonly #streams = new Set<PeerStream>();
  #messages: MessageStream | undefined;
  #silence: SilenceWatch | undefined;
  #heartbeat: Heartbeat | undefined;
  /** Those that need not be sent; `undefined` = all are. */
  #tensors: WorkerWish["tensors"] | undefined;
  #packs = false;
  #hasBegun = false;
  #isEnded = false;

  private constructor(peer: PeerAddress, parts: LentWorkerParts) {
    this.#peer = peer;
    this.#parts = parts;
    this.nodeId = peer.nodeId;
    this.port = this.#listener.addr.port;
    this.ended = this.#end.promise;
    this.leaving = this.#leave.promise;
  }

  /**
   * Resolves once the worker can be computed with.
   *
   * @throws what its node refuses with; UnavailableError `peer_lost`; the signal's reason.
   */
  static async ask(
    peer: PeerAddress,
    wish: WorkerWish,
    by: { readonly parts: LentWorkerParts; readonly signal: AbortSignal },
  ): Promise<LentWorker> {
    const worker = new LentWorker(peer, by.parts);
    try {
      await worker.#open(wish, by.signal);
      return worker;
    } catch (error) {
      worker.#lose(errorMessage(error));
      by.signal.throwIfAborted();
      throw error;
    }
  }

  /** Gives it back. */
  close(): void {
    this.#finish({ isLost: false, isNodeThere: true, reason: "it was given back" });
  }

  /** Its leader loads now: from here on it may say much before it is answered. */
  noteBegun(): void {
    this.#hasBegun = true;
  }

  async #open(wish: WorkerWish, signal: AbortSignal): Promise<void> {
    const { transport, clock } = this.#parts;
    const { name, blob, memoryBytes, weights, device } = wish;
    const patience = new Patience(clock);
    const late = AbortSignal.any([signal, patience.signal]);
    this.#silence = new SilenceWatch(clock, {
      limitMs: SHARD_CONNECT_MS,
      onSilent: () => this.#lose(`node ${this.nodeId} said nothing for too long`),
    });
    const said = { shardId: this.#shardId, name, blob, memoryBytes, weights };
    const opening = { purpose: SHARD_PURPOSE, ...said, ...device && { device } };
    const gone = this.ended.then(({ reason }) => {
      throw new UnavailableError("peer_lost", reason);
    });
    gone.catch(() => {});
    const opened = openPurpose(transport, { peer: this.#peer, opening }, late);
    opened.then((stream) => this.#isEnded && stream.reset(), () => {});
    const stream = await Promise.race([opened, gone]);
    const messages = new MessageStream(stream, () => {
      this.#silence?.bear(SHARD_SILENCE_MS);
      this.#silence?.heard();
    });
    this.#messages = messages;
    this.#heartbeat = new Heartbeat(clock, {
      everyMs: SHARD_BEAT_MS,
      send: () => {
        if (messages.writesWaiting > 0) return;
        messages.write({ kind: "beat" }).catch((error) => this.#lose(errorMessage(error)));
      },
    });
    const leave = () => this.#lose("it was waited for no longer");
    late.addEventListener("abort", leave, { once: true });
    try {
      const granted = await this.#granted(messages, patience);
      const { holdsBlob, holdsRanges, unpacks = false } = granted;
      if (granted.device !== device?.name) {
        throw new UnavailableError("peer_lost", `A node lends no part of ${device?.name}`);
      }
      this.#packs = unpacks;
      if (holdsBlob) this.#tensors = wish.tensors;
      else if (holdsRanges === true) this.#tensors = tensorsWithin(wish);
    } catch (error) {
      late.throwIfAborted();
      throw error;
    } finally {
      late.removeEventListener("abort", leave);
      patience.end();
    }
    void this.#readAll(messages);
    void this.#accept();
  }

  async #granted(messages: MessageStream, patience: Patience) {
    for (;;) {
      const message = await messages.read();
      if (message === undefined) throw new UnavailableError("peer_lost", "A node ended its answer");
      const read = readShape(shardReplyShape, message);
      if (read.kind === "decoded" && read.value.kind === "beat") continue;
      if (read.kind === "decoded" && read.value.kind === "fetching") {
        patience.renew();
        continue;
      }
      return readAnswer(shardReplyShape, "granted", message);
    }
  }

  async #readAll(messages: MessageStream): Promise<void> {
    try {
      for (;;) {
        const message = await messages.read();
        if (message === undefined) return this.#lose("its node ended the lease");
        const read = readShape(shardReplyShape, message);
        if (read.kind === "malformed") return this.#lose(`its node sent nonsense: ${read.reason}`);
        if (read.value.kind === "leaving") this.#leave.resolve();
        if (read.value.kind === "lost") {
          const { reason } = read.value;
          return this.#finish({ isLost: true, isNodeThere: true, reason });
        }
        if (read.value.kind === "refused") {
          return this.#lose(errorMessage(fromWireError(read.value.error)));
        }
      }
    } catch (error) {
      this.#lose(errorMessage(error));
    }
  }

  /** llama.cpp connects some ten times while it loads, once at a time. */
  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        connection.setNoDelay(true);
        void this.#tunnel(connection);
      }
    } catch (error) {
      if (!this.#isEnded) this.#lose(errorMessage(error));
    }
  }

  async #tunnel(connection: Deno.TcpConn): Promise<void> {
    const { transport, log } = this.#parts;
    const opening = { purpose: TUNNEL_PURPOSE, shardId: this.#shardId };
    let stream: PeerStream | undefined;
    try {
      stream = await openPurpose(
        transport,
        { peer: this.#peer, opening },
        new AbortController().signal,
      );
      this.#streams.add(stream);
      await this.#carry(connection, stream);
    } catch (error) {
      // The leader's process notices that its connection has ended, and its end tells the rest.
      if (!isEdgeError(error) && !isConnectionLoss(error)) throw error;
      log.log("debug", "tunnel_ended", { node: this.nodeId, reason: errorMessage(error) });
    } finally {
      if (stream !== undefined) this.#streams.delete(stream);
      stream?.reset();
      close(connection);
    }
  }

  async #carry(connection: Deno.TcpConn, stream: PeerStream): Promise<void> {
    const count = (direction: string) => (bytes: number) =>
      this.#parts.metrics.increment("odist_shard_bytes_total", { direction }, bytes);
    const cutter = this.#tensors && new WeightCutter(this.#tensors, count("spared"));
    const [asked, answered] = [count("up"), count("down")];
    let question: { cancel(): void } | undefined;
    const up = carryOut(connection, stream, {
      count: (bytes) => {
        asked(bytes);
        question ??= this.#hasBegun ? undefined : this.#awaitAnswer();
      },
      ...cutter && { cut: (bytes) => cutter.push(bytes) },
      packs: this.#packs,
    });
    const down = carryIn(stream, connection, {
      count: (bytes) => {
        answered(bytes);
        question?.cancel();
        question = undefined;
      },
    });
    for (const way of [up, down]) way.catch(() => {});
    try {
      await Promise.race([up, down]);
    } finally {
      question?.cancel();
    }
  }

  /** llama.cpp would wait for ever. */
  #awaitAnswer(): { cancel(): void } {
    const reason = `it answered nothing for ${SHARD_ANSWER_MS / 1000} s`;
    return this.#parts.clock.after(SHARD_ANSWER_MS, () => {
      if (!this.#hasBegun) this.#finish({ isLost: true, isNodeThere: true, reason });
    });
  }

  #lose(reason: string): void {
    this.#finish({ isLost: true, isNodeThere: false, reason });
  }

  #finish(end: Awaited<LentWorker["ended"]>): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#silence?.stop();
    this.#heartbeat?.stop();
    this.#messages?.reset();
    for (const stream of this.#streams) stream.reset();
    this.#listener.close();
    this.#end.resolve(end);
  }
}

/** How long a worker is waited for; anew whenever its node has come on. */
class Patience {
  readonly #clock: Clock;
  readonly #late = new AbortController();
  #timer: { cancel(): void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.renew();
  }

  get signal(): AbortSignal {
    return this.#late.signal;
  }

  renew(): void {
    this.end();
    const late = new UnavailableError("peer_lost", "A node did not lend a worker in time");
    this.#timer = this.#clock.after(SHARD_GRANT_MS, () => this.#late.abort(late));
  }

  end(): void {
    this.#timer?.cancel();
  }
}

function tensorsWithin({ tensors, weights }: WorkerWish): WorkerWish["tensors"] {
  const isWithin = ({ offset, tensorBytes }: TensorPlace) =>
    weights.ranges.some((range) =>
      offset >= range.offset && offset + tensorBytes <= range.offset + range.length
    );
  return new Map([...tensors].filter(([, place]) => isWithin(place)));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!isConnectionLoss(error)) throw error;
  }
}
