import {
  type Digest,
  errorMessage,
  Heartbeat,
  isEdgeError,
  type NodeId,
  pause,
  PeerError,
  RequestError,
  SilenceWatch,
  UnavailableError,
} from "../base/mod.ts";
import {
  answering,
  ECHO_PURPOSE,
  echoOpeningShape,
  MessageStream,
  refuse,
  required,
  SHARD_PURPOSE,
  shardOpeningShape,
  type ShardReply,
  type StreamHandler,
  type StreamRouter,
  TUNNEL_PURPOSE,
  tunnelOpeningShape,
} from "../calls/mod.ts";
import type { BlobReader, Clock, LoadedModel, Log, Metrics, PeerStream } from "../ports/mod.ts";
import type { ShapeOf } from "../protocol/mod.ts";
import type { DeviceRooms, SchedulerDriver } from "../slots/mod.ts";
import {
  SHARD_BEAT_MS,
  SHARD_SILENCE_MS,
  SHARDS_PER_PEER_MAX,
  TUNNELS_PER_PEER_MAX,
  WORKER_START_MS,
} from "./limits.ts";
import { carryIn, carryOut, isConnectionLoss, OtherWeights } from "./tunnel.ts";
import { type HeldWeights, WorkerWeights, type WorkerWeightsParts } from "./worker_weights.ts";

/** What lending workers takes. */
export interface ShardServerParts extends WorkerWeightsParts {
  /** Its memory is reserved there, as a model's. */
  readonly driver: Pick<SchedulerDriver, "acquire" | "view">;
  readonly self: { readonly nodeId: NodeId };
  /** Of which workers may take their part. */
  readonly devices: Pick<DeviceRooms, "roomOn">;
  /** Whether this node takes no part in anything new. */
  readonly isDrained: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Lets peers be lent workers, reach them, and ask how far this node is. */
export function lendTo(router: Pick<StreamRouter, "register">, parts: ShardServerParts): void {
  const shards = new ShardServer(parts);
  router.register(SHARD_PURPOSE, shards);
  router.register(TUNNEL_PURPOSE, new TunnelServer(shards, parts.metrics));
  router.register(ECHO_PURPOSE, answering(echoOpeningShape, () => ({ kind: "echo" })));
}

type Opening = ShapeOf<typeof shardOpeningShape>;

/** A worker that a peer computes with. */
interface Lent {
  readonly port: number;
  /** Those that are here. */
  readonly weights: BlobReader | undefined;
  readonly streams: Set<PeerStream>;
  /** The weights here are not those of the leader. */
  readonly onOtherWeights: () => void;
}

/** Workers of this node for models that other nodes lead: a stream each, which lives as long as the worker does. */
export class ShardServer implements StreamHandler {
  readonly streamsPerPeerMax = SHARDS_PER_PEER_MAX;
  readonly #parts: ShardServerParts;
  readonly #weights: WorkerWeights;
  readonly #lent = new Map<string, Lent>();

  constructor(parts: ShardServerParts) {
    this.#parts = parts;
    this.#weights = new WorkerWeights(parts);
  }

  /** The worker that a peer was lent under this id; nobody else's. */
  find(peer: NodeId, shardId: string): Lent | undefined {
    return this.#lent.get(`${peer} ${shardId}`);
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const asked = required(shardOpeningShape, opening);
    const key = `${stream.peer} ${asked.shardId}`;
    if (this.#lent.has(key)) throw new PeerError("malformed_frame", "A worker's id came twice");
    const lease = new WorkerLease(stream, { ...this.#parts, weights: this.#weights }, asked);
    await lease.run((lent) => {
      if (lent === undefined) this.#lent.delete(key);
      else this.#lent.set(key, lent);
    });
  }
}

/** One worker from its opening to its end. */
class WorkerLease {
  readonly #stream: PeerStream;
  readonly #parts: ShardServerParts & { readonly weights: WorkerWeights };
  readonly #asked: Opening;
  readonly #messages: MessageStream;
  readonly #over = new AbortController();

  constructor(
    stream: PeerStream,
    parts: ShardServerParts & { readonly weights: WorkerWeights },
    asked: Opening,
  ) {
    this.#stream = stream;
    this.#parts = parts;
    this.#asked = asked;
    this.#messages = new MessageStream(stream, () => this.#silence?.heard());
  }

  #silence: SilenceWatch | undefined;
  #isToldToLeave = false;
  #hasComeOn = false;
  readonly #others = Promise.withResolvers<{ readonly reason: string }>();

  /** Resolves when the worker is gone. */
  async run(onLent: (lent: Lent | undefined) => void): Promise<void> {
    const { clock } = this.#parts;
    this.#silence = new SilenceWatch(clock, {
      limitMs: SHARD_SILENCE_MS,
      onSilent: () => this.#end("it said nothing"),
    });
    const heartbeat = new Heartbeat(clock, {
      everyMs: SHARD_BEAT_MS,
      send: () => this.#beat(),
    });
    const reading = this.#readAll();
    try {
      await this.#lend(onLent);
    } catch (error) {
      if (!this.#over.signal.aborted) await refuse(this.#stream, error);
      if (!isEdgeError(error)) throw error;
      this.#parts.log.log("info", "worker_refused", {
        model: this.#asked.name,
        peer: this.#stream.peer,
        reason: errorMessage(error),
      });
    } finally {
      onLent(undefined);
      heartbeat.stop();
      this.#end("it is over");
      await reading;
    }
  }

  async #lend(onLent: (lent: Lent | undefined) => void): Promise<void> {
    const { driver, log, isDrained, self } = this.#parts;
    if (isDrained()) throw new UnavailableError("stopping", "this node takes nothing new");
    const { blob, name, memoryBytes } = this.#asked;
    const { peer } = this.#stream;
    this.#refuseFullDevice();
    const port = freePort();
    const wanted = workerRequest(this.#asked, { peer, self: self.nodeId, port });
    const lease = await driver.acquire(wanted, this.#over.signal);
    const worker = lease.model;
    this.#hasComeOn = true;
    const streams = new Set<PeerStream>();
    let held: HeldWeights | undefined;
    try {
      held = await this.#weights();
      await listening(port, worker, this.#parts.clock);
      onLent({ port, weights: held?.reader, streams, onOtherWeights: () => this.#doubt(blob) });
      const holdsBlob = held?.isWhole === true;
      const holdsRanges = held !== undefined && !holdsBlob;
      const { device } = this.#asked;
      const words = { holdsBlob, ...holdsRanges && { holdsRanges }, unpacks: true };
      this.#tell({ kind: "granted", ...words, ...device && { device: device.name } });
      log.log("info", "worker_lent", {
        model: name,
        peer,
        memoryBytes,
        ...device && { device: device.name, deviceBytes: device.bytes },
        processId: worker.processId,
      });
      const end = await Promise.race([worker.exited, this.#others.promise, this.#ended()]);
      if (end === undefined) return;
      this.#tell({ kind: "lost", reason: end.reason });
      // Whoever is told gives the worker back; a stream that was reset sooner would take the words along.
      await this.#ended();
    } finally {
      for (const stream of streams) stream.reset();
      // With it the worker's only slot is free, and nobody keeps it.
      lease.release();
      held?.reader.close();
    }
  }

  /** Nobody's model on a device makes room for a part of one: another node may have some. @throws RequestError `model_too_large`. */
  #refuseFullDevice(): void {
    const { driver, devices } = this.#parts;
    const { device } = this.#asked;
    if (device === undefined) return;
    const roomBytes = devices.roomOn(device.name, driver.view().instances);
    if (device.bytes <= roomBytes) return;
    const figures = `requires ${device.bytes} bytes on ${device.name}, and there are ${roomBytes}`;
    throw new RequestError("model_too_large", `a part of a model ${figures}`);
  }

  /** @throws the end's reason, however long its disk says nothing. */
  async #weights(): Promise<HeldWeights | undefined> {
    const { signal } = this.#over;
    const finding = this.#parts.weights.find(this.#asked, {
      signal,
      onProgress: () => this.#hasComeOn = true,
    });
    const ended = this.#ended().then(() => signal.throwIfAborted() as undefined);
    try {
      return await Promise.race([finding, ended]);
    } catch (error) {
      finding.then((held) => held?.reader.close(), () => {});
      throw error;
    }
  }

  /** Its leader asks for another worker, which is sent all weights. */
  #doubt(blob: Digest): void {
    const reason = "its weights are not those of the leader";
    this.#parts.log.log("warn", "weights_differ", { digest: blob, peer: this.#stream.peer });
    void this.#parts.weights.doubt(blob).then(() => this.#others.resolve({ reason }));
  }

  async #ended(): Promise<undefined> {
    const { signal } = this.#over;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    if (signal.aborted) return undefined;
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    return await promise;
  }

  async #readAll(): Promise<void> {
    try {
      // Whatever it says, it is there.
      while (await this.#messages.read() !== undefined);
      this.#end("it was given back");
    } catch (error) {
      this.#end(errorMessage(error));
    }
  }

  #beat(): void {
    if (this.#hasComeOn) {
      this.#hasComeOn = false;
      return this.#tell({ kind: "fetching" });
    }
    if (this.#isToldToLeave || !this.#isToLeave()) return this.#tell({ kind: "beat" });
    this.#isToldToLeave = true;
    this.#tell({ kind: "leaving" });
  }

  /** Nobody knows here whether its leader answers anybody: one that is idle gives its place up, as a model of this node would. */
  #isToLeave(): boolean {
    const { driver, isDrained } = this.#parts;
    const key = workerKey(this.#asked, this.#stream.peer);
    return isDrained() ||
      driver.view().instances.some((instance) => instance.modelKey === key && instance.isInTheWay);
  }

  #tell(reply: ShardReply): void {
    if (this.#over.signal.aborted) return;
    if (reply.kind === "beat" && this.#messages.writesWaiting > 0) return;
    this.#messages.write(reply).catch((error) => this.#end(errorMessage(error)));
  }

  #end(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.#silence?.stop();
    this.#over.abort(new UnavailableError("peer_lost", `A worker's lease ended: ${reason}`));
    this.#messages.reset();
  }
}

function workerKey({ shardId }: Opening, peer: NodeId): string {
  return `worker:${peer}/${shardId}`;
}

function workerRequest(
  asked: Opening,
  { peer, self, port }: { readonly peer: NodeId; readonly self: NodeId; readonly port: number },
) {
  const { shardId, name, memoryBytes, device, blob } = asked;
  return {
    requestId: `${peer}/${shardId}`,
    standing: "fresh",
    need: {
      modelKey: workerKey(asked, peer),
      settingsKey: "worker",
      // No model has such a name: lists of loaded models show the leader's row alone.
      displayName: `part of ${name}`,
      memoryBytes,
      ...device && { device },
      part: { leader: peer, weights: blob, comesFirst: peer < self },
      slots: 1,
      contextTokens: 0,
      keepAliveMs: 0,
    },
    settings: {
      modelPath: "",
      adapterPaths: [],
      contextTokens: 0,
      slots: 1,
      batchTokens: 1,
      threads: 0,
      gpuLayers: 0,
      mmap: false,
      flashAttention: "auto",
      kvCacheType: "f16",
      mode: "generate",
      worker: { port, memoryBytes, ...device && { device } },
    },
  } as const;
}

/** Carries connections of a leader to the workers that it was lent. */
export class TunnelServer implements StreamHandler {
  readonly streamsPerPeerMax = TUNNELS_PER_PEER_MAX;
  readonly #shards: Pick<ShardServer, "find">;
  readonly #metrics: Metrics;

  constructor(shards: Pick<ShardServer, "find">, metrics: Metrics) {
    this.#shards = shards;
    this.#metrics = metrics;
  }

  /** @throws RequestError `invalid_request` towards a peer that was lent no such worker. */
  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const { shardId } = required(tunnelOpeningShape, opening);
    const lent = this.#shards.find(stream.peer, shardId);
    if (lent === undefined) {
      await refuse(stream, new RequestError("invalid_request", "No worker was lent under this id"));
      return;
    }
    lent.streams.add(stream);
    try {
      using worker = await Deno.connect({ hostname: "127.0.0.1", port: lent.port });
      worker.setNoDelay(true);
      await this.#carry(stream, worker, lent.weights);
    } catch (error) {
      if (error instanceof OtherWeights) lent.onOtherWeights();
      if (!isConnectionLoss(error)) throw error;
      throw new UnavailableError("peer_lost", "The worker has ended a connection", {
        cause: error,
      });
    } finally {
      lent.streams.delete(stream);
      stream.reset();
    }
  }

  async #carry(stream: PeerStream, worker: Deno.TcpConn, weights?: BlobReader): Promise<void> {
    const count = (direction: "up" | "down") => (bytes: number) =>
      this.#metrics.increment("odist_shard_bytes_total", { direction }, bytes);
    const up = carryIn(stream, worker, { count: count("up"), ...weights && { weights } });
    const down = carryOut(worker, stream, { count: count("down") });
    // Either end closes both: half a connection is none to llama.cpp. What the other one fails with then is of no interest.
    for (const way of [up, down]) way.catch(() => {});
    await Promise.race([up, down]);
  }
}

/** llama.cpp can't be asked which port it has. Who takes it in between makes the worker fail, which is told. */
function freePort(): number {
  // Not by `using`: the bundler puts a value that is used but once where it is used, and then nobody disposes of it.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

const CONNECT_EVERY_MS = 10;

/** Resolves once the worker can be connected to. @throws UnavailableError `load_failed`. */
async function listening(port: number, worker: LoadedModel, clock: Clock): Promise<void> {
  const startedMs = clock.monotonicMs();
  const gone = worker.exited.then(({ reason }) => {
    throw new UnavailableError("load_failed", `The worker ended: ${reason}`);
  });
  gone.catch(() => {});
  for (;;) {
    try {
      const connection = await Promise.race([
        Deno.connect({ hostname: "127.0.0.1", port }),
        gone,
      ]);
      connection.close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
    if (clock.monotonicMs() - startedMs > WORKER_START_MS) {
      throw new UnavailableError("load_failed", "The worker can't be connected to");
    }
    await pause(clock, CONNECT_EVERY_MS);
  }
}
