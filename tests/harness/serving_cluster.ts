/**
 * Nodes of one process that serve each other's requests over a simulated network: real routing, leases, scheduling and
 * answering; the engine and the model are the test's, and so is what gossip would tell.
 *
 * @module
 */
import { type NodeId, UnavailableError } from "../../src/base/mod.ts";
import type { SchedulerView } from "../../src/core/scheduler/mod.ts";
import type { ModelDefinition } from "../../src/models/mod.ts";
import { StreamRouter } from "../../src/calls/stream_router.ts";
import { Inference } from "../../src/answers/inference.ts";
import { createServing, type Serving } from "../../src/slots/serving.ts";
import type { Holder } from "../../src/library/holders.ts";
import { loadFromView } from "../../src/slots/own_candidate.ts";
import { modelKeyOf } from "../../src/slots/model_need.ts";
import { SchedulerDriver } from "../../src/slots/scheduler_driver.ts";
import type { CatalogEntry, Engine } from "../../src/ports/mod.ts";
import { LOCAL_TEMPLATES } from "./local_templates.ts";
import { packModel } from "./packed_model.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import type { SimulatedNetwork } from "./simulated_transport.ts";

/** How one node starts. */
export interface ServingNodeOptions {
  /** One letter. */
  readonly name: string;
  readonly engine: Engine;
  /** Whether the model's blobs are on it. Default true. */
  readonly holds?: boolean;
  /** Default 2. */
  readonly slots?: number;
  /** Default 16. */
  readonly queueRequestsMax?: number;
}

/** One of the nodes. */
export interface ServingTestNode {
  readonly name: string;
  readonly nodeId: NodeId;
  readonly inference: Inference;
  readonly driver: SchedulerDriver;
  readonly serving: Serving;
  readonly telemetry: RecordingTelemetry;
  /** What gossip says of it; a test changes it. */
  health: Holder["health"];
  drained: boolean;
}

const FIGURES = { availableBytes: 1e12, decodeTokensPerMinute: 0, prefillTokensPerMinute: 0 };
/** The same for every node of these tests. */
const ALIKE = {
  ownFigures: () => FIGURES,
  catchUp: () => Promise.resolve("stale" as const),
};

/** The nodes and the network between them. */
export class ServingCluster implements AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly #definition: ModelDefinition;
  readonly #nodes = new Map<string, ServingTestNode>();
  readonly #holding = new Set<string>();
  readonly #lastWords = new Map<string, SchedulerView>();

  constructor(definition: ModelDefinition, network: SimulatedNetwork) {
    this.#definition = definition;
    this.network = network;
  }

  start(options: ServingNodeOptions): ServingTestNode {
    const { name, engine, slots = 2, queueRequestsMax = 16 } = options;
    const { clock } = this.network;
    const telemetry = new RecordingTelemetry();
    const nodeId = nodeIdOf(name);
    if (options.holds !== false) this.#holding.add(name);
    const driver = new SchedulerDriver({
      engine,
      clock,
      machine: { availableBytes: () => 1e12, cores: 2 },
      log: telemetry,
      metrics: telemetry,
      loadTimeoutMs: Infinity,
      options: {
        loadedModelsMax: 3,
        queueRequestsMax,
        keepAliveMs: 300_000,
        reserveBytes: 0,
        cores: 2,
        threads: 1,
      },
    });
    const router = new StreamRouter({ clock, log: telemetry, metrics: telemetry });
    const transport = this.network.open(nodeId, name, {
      onDatagram() {},
      onFrame() {},
      onStream: (stream) => void router.accept(stream),
      onSendFailed() {},
      onConnectionLost: (peer) => serving.onPeerDoubted(peer),
    });
    const defaults = {
      contextTokens: 512,
      slots,
      batchTokens: 0,
      flashAttention: "auto",
      kvCacheType: "f16",
    } as const;
    const serving = createServing({
      transport,
      router,
      driver,
      models: this.#modelsOf(name),
      holders: () => this.#holdersFor(name),
      self: { nodeId, name },
      isDrained: () => node.drained,
      ...ALIKE,
      defaults,
      clock,
      log: telemetry,
    });
    let requests = 0;
    const inference = new Inference({
      driver: serving.leases,
      models: serving.definitions,
      templates: LOCAL_TEMPLATES,
      defaults,
      clock,
      log: telemetry,
      metrics: telemetry,
      drawSeed: () => 1,
      drawRequestId: () => `${name}${++requests}`,
      drawId: () => "id",
    });
    const node: ServingTestNode = {
      ...{ name, nodeId, inference, driver, serving, telemetry, health: "alive" },
      drained: false,
    };
    this.#nodes.set(name, node);
    return node;
  }

  node(name: string): ServingTestNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`There is no node ${name}`);
    return node;
  }

  /** The node ends without a word, its runners with it; nobody is told. */
  async kill(name: string): Promise<void> {
    const { nodeId } = this.node(name);
    // Its code runs on in this process, and must not be heard.
    const others = [...this.#nodes.values()].filter((node) => node.name !== name);
    this.network.partition([nodeId], others.map((node) => node.nodeId));
    this.network.crash(nodeId);
    // What it said last is all that others have.
    this.#lastWords.set(name, this.node(name).driver.view());
    await this.node(name).driver.close();
  }

  /** Gossip suspects a node, everywhere. */
  suspect(name: string): void {
    this.node(name).health = "suspect";
    for (const node of this.#nodes.values()) node.serving.onPeerDoubted(nodeIdOf(name));
  }

  /** Slots that are held now, by node. */
  heldSlots(): Record<string, number> {
    return Object.fromEntries(
      [...this.#nodes].map(([name, { driver }]) => [name, driver.view().running]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { serving } of this.#nodes.values()) serving.close();
    this.network.close();
    await Promise.all([...this.#nodes.values()].map(({ driver }) => driver.close()));
  }

  #modelsOf(name: string) {
    const { manifestDigest } = this.#definition;
    const { manifest, layers } = packModel(this.#definition);
    const entry: Partial<CatalogEntry> = { name: this.#definition.name, manifestDigest, manifest };
    return {
      find: () => Promise.resolve(entry as CatalogEntry),
      isWholeHere: () => Promise.resolve(this.#holding.has(name)),
      readContentLayers: () => Promise.resolve(layers),
      getDefinition: () =>
        this.#holding.has(name)
          ? Promise.resolve(this.#definition)
          : Promise.reject(new UnavailableError("load_failed", "a blob is missing")),
    };
  }

  #holdersFor(asking: string): Holder[] {
    const others = [...this.#nodes.values()].filter(({ name }) => name !== asking);
    return others.filter(({ name }) => this.#holding.has(name)).map((node): Holder => ({
      nodeId: node.nodeId,
      name: node.name,
      address: node.name,
      health: node.health,
      drained: node.drained,
      load: loadFromView(
        this.#lastWords.get(node.name) ?? node.driver.view(),
        modelKeyOf(this.#definition, "generate"),
        FIGURES,
      ),
    }));
  }
}

/** A node's id in these tests. */
export function nodeIdOf(name: string): NodeId {
  return name.charCodeAt(0).toString(16).padStart(16, "0") as NodeId;
}
