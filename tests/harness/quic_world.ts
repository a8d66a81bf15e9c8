/**
 * Real transports on loopback, for tests.
 *
 * @module
 */
import type { NodeId } from "../../src/base/mod.ts";
import { type SpokenVersions, spokenVersions } from "../../src/protocol/mod.ts";
import type { Clock, Log, Metrics, PeerDirectory, TransportHandlers } from "../../src/ports/mod.ts";
import {
  type ClientHandler,
  type JoinHandler,
  type NodeIdentity,
  openTransport,
  type OpenTransportOptions,
  type QuicTransport,
  type TransportLimits,
} from "../../src/transport/mod.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { directoryOf, type IdentityMaker, identityMaker } from "./identities.ts";

/** Real time; timers keep a test alive, because nothing else may. */
export const testClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const id = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(id) };
  },
};

/** What {@link QuicWorld.open} takes beyond handlers. */
export interface QuicNodeOptions {
  readonly identity?: NodeIdentity;
  readonly directory?: PeerDirectory;
  readonly onJoin?: JoinHandler;
  readonly onClient?: ClientHandler;
  readonly log?: Log;
  readonly metrics?: Metrics;
  readonly hostname?: string;
  /** Default: a free one. */
  readonly port?: number;
  readonly lookUp?: OpenTransportOptions["lookUp"];
  readonly speaks?: SpokenVersions;
}

/** One cluster's transports. */
export class QuicWorld {
  /** The discard port: nobody speaks QUIC there. */
  readonly deadAddress = "127.0.0.1:9";
  readonly identities: IdentityMaker;
  readonly #limits: Partial<TransportLimits>;
  readonly #open: QuicTransport[] = [];

  private constructor(identities: IdentityMaker, limits: Partial<TransportLimits>) {
    this.identities = identities;
    this.#limits = limits;
  }

  /** Runs `use`, then closes every transport. */
  static async run(
    limits: Partial<TransportLimits>,
    use: (world: QuicWorld) => Promise<void>,
  ): Promise<void> {
    const world = new QuicWorld(await identityMaker(), limits);
    try {
      await use(world);
    } finally {
      await Promise.all(world.#open.map((transport) => transport.close()));
    }
  }

  async open(
    handlers: TransportHandlers,
    options: QuicNodeOptions = {},
  ): Promise<{ nodeId: NodeId; transport: QuicTransport; identity: NodeIdentity }> {
    const identity = options.identity ?? await this.identities.make();
    const transport = await openTransport({
      listen: { hostname: options.hostname ?? "127.0.0.1", port: options.port ?? 0 },
      identity,
      directory: options.directory ?? directoryOf(),
      handlers,
      ...(options.onJoin === undefined ? {} : { onJoin: options.onJoin }),
      ...(options.onClient === undefined ? {} : { onClient: options.onClient }),
      ...(options.speaks === undefined ? {} : { speaks: () => options.speaks ?? spokenVersions() }),
      clock: testClock,
      log: options.log ?? new RecordingTelemetry(),
      metrics: options.metrics ?? new RecordingTelemetry(),
      limits: this.#limits,
      lookUp: options.lookUp,
    });
    this.#open.push(transport);
    return { nodeId: identity.nodeId, transport, identity };
  }
}
