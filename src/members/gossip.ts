import { BoundedMap, equalBytes, LineLimiter, type NodeId } from "../base/mod.ts";
import {
  CopiesReports,
  LoadReports,
  type Moment,
  SpeedsReports,
  tellingStretch,
} from "../core/catalogue/mod.ts";
import type { Clock, Log, Metrics } from "../ports/mod.ts";
import {
  COMPUTED_PREFIXES_KEY,
  type ComputedPrefixes,
  decodeComputedPrefixes,
  type Decoded,
  decodeExactCopies,
  decodeInventory,
  decodeKeyUses,
  decodeLoadedCopies,
  decodeModelSpeeds,
  decodeNodeDevices,
  decodeNodeDisk,
  decodeNodeFacts,
  decodeNodeFence,
  decodeNodeHttp,
  decodeNodeLoad,
  decodeNodeSplit,
  decodeNodeYield,
  type DeviceFacts,
  encodeComputedPrefixes,
  encodeExactCopies,
  encodeInventory,
  encodeKeyUses,
  encodeLoadedCopies,
  encodeModelSpeeds,
  encodeNodeDevices,
  encodeNodeDisk,
  encodeNodeFacts,
  encodeNodeFence,
  encodeNodeHttp,
  encodeNodeLoad,
  encodeNodeSplit,
  encodeNodeYield,
  EXACT_COPIES_KEY,
  type ExactCopy,
  type Inventory,
  INVENTORY_KEYS,
  KEY_USES_KEY,
  type KeyUses,
  LOADED_COPIES_KEY,
  type LoadedCopies,
  type LoadedCopy,
  type ManifestPrefix,
  MODEL_SPEEDS_KEY,
  type ModelSpeed,
  NODE_DEVICES_KEY,
  NODE_DISK_KEY,
  NODE_FACTS_KEY,
  NODE_FENCE_KEY,
  NODE_HTTP_KEY,
  NODE_LOAD_KEY,
  NODE_SPLIT_KEY,
  NODE_YIELD_KEY,
  type NodeDisk,
  type NodeFacts,
  type NodeHttp,
  type NodeLoad,
  type NodeSplit,
} from "../protocol/mod.ts";
import type { MembershipDriver } from "./membership_driver.ts";

/** How often the load is read although nobody said that it changed: memory and speed change without a word. */
const LOOK_MS = 5_000;
/** Nodes whose values are kept decoded; all of them when there are more is only slower. */
const CACHE_NODES_MAX = 1_024;

/** What keys used is told at most this often: so long each node counts for itself. */
const KEY_USES_GAP_MS = 250;
/** What was computed is told no more often. Milliseconds. */
const PREFIXES_GAP_MS = 10_000;

/** Room for parts of models, or speed, that differs by less of what was told last is as good as the same. */
const SPLIT_STEP = 1 / 8;

/** The same node's senseless values make one line in this time; the metric counts each. */
const REFUSED_LINE_MS = 1_000;

/** What a node has said of itself. */
export interface NodeGossip {
  readonly facts: NodeFacts | undefined;
  /** Undefined = nothing was heard yet. A node that idles tells nothing: the last word of a live one still holds. */
  readonly load: NodeLoad | undefined;
  /** When the load was heard, on the monotonic clock: requests sent there later are not in it. */
  readonly loadHeardMs: number;
  readonly loaded: LoadedCopies | undefined;
  /** Which of the loaded ones are exact. */
  readonly exact: readonly ExactCopy[];
  /** Of models over several nodes; undefined = it has not said, and computes none. */
  readonly split: NodeSplit | undefined;
  readonly inventory: Inventory;
  readonly disk: NodeDisk | undefined;
  /** What it computes with beside its cores. */
  readonly devices: readonly DeviceFacts[];
  /** How fast it is with single models. */
  readonly speeds: readonly ModelSpeed[];
  /** Marks of what it has computed, by model. */
  readonly prefixes: ReadonlyMap<ManifestPrefix, ReadonlySet<number>>;
  /** Why it takes no part in the log's group, in one word; undefined = it does, or has not said. */
  readonly fence: string | undefined;
  /** It takes nothing new, because other programs use its machine. */
  readonly yields: boolean;
  readonly http: NodeHttp | undefined;
}

/** What telling and hearing takes. */
export interface GossipParts {
  readonly nodeId: NodeId;
  readonly membership: Pick<
    MembershipDriver,
    "publish" | "values" | "clusterSize" | "onValuesChanged" | "onMemberChanged"
  >;
  readonly clock: Pick<Clock, "monotonicMs" | "after">;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The present load of this node; cheap. */
  readonly readLoad: () => NodeLoad;
  /** What is loaded on this node now; cheap. */
  readonly readLoaded: () => readonly LoadedCopy[];
  /** Which of it is exact; cheap. */
  readonly readExact: () => readonly ExactCopy[];
  /** How fast single models are on this node; cheap. */
  readonly readSpeeds: () => readonly ModelSpeed[];
  /** What this node has computed of texts, at most `PREFIX_MARKS_MAX` marks a model; the model used last first. */
  readonly readPrefixes: () => readonly ComputedPrefixes[];
  /** What this node computes with beside its cores, and what is free of it now; cheap. */
  readonly readDevices: () => readonly DeviceFacts[];
  /** What room this node has for parts of models, and which split ones it leads; cheap. */
  readonly readSplit: () => NodeSplit;
  /** What keys that have limits used on this node, and who hears what they used on others; absent = nobody counts. */
  readonly keys?: {
    read(): KeyUses;
    /** Undefined = the node is gone. */
    hear(nodeId: NodeId, uses: KeyUses | undefined): void;
    onChanged(listener: () => void): void;
  };
}

/** Tells the other nodes about this one, as often as is worth it, and remembers what they tell. */
export class Gossip {
  readonly #parts: GossipParts;
  readonly #loadReports = new LoadReports();
  readonly #copiesReports = new CopiesReports();
  readonly #speedsReports = new SpeedsReports();
  readonly #decoded = new BoundedMap<NodeId, NodeGossip>(CACHE_NODES_MAX);
  readonly #loadHeardMs = new BoundedMap<NodeId, number>(CACHE_NODES_MAX);
  readonly #stopListening: readonly (() => void)[];
  #timer: { readonly dueMs: number; cancel(): void } | undefined;
  readonly #refusedLines = new LineLimiter(REFUSED_LINE_MS);
  #inventoryRevision = 0;
  #toldFence: string | undefined;
  /** Of a node without devices, nothing is told. */
  #toldDevices = encodeNodeDevices([]);
  #toldExact = encodeExactCopies([]);
  #toldPrefixes = encodeComputedPrefixes([]);
  #toldPrefixesMs = -Infinity;
  #toldSplit: NodeSplit | undefined;
  /** Where no key has limits, nothing is told. */
  #toldKeys = "[]";
  #toldKeysMs = -Infinity;
  #closed = false;

  constructor(parts: GossipParts) {
    this.#parts = parts;
    this.#stopListening = [
      parts.membership.onValuesChanged(({ nodeId, keys }) => {
        this.#decoded.delete(nodeId);
        if (INVENTORY_KEYS.some((key) => keys.includes(key))) this.#inventoryRevision++;
        if (keys.includes(NODE_LOAD_KEY)) this.#hearLoad(nodeId);
        if (keys.includes(KEY_USES_KEY)) this.#hearKeys(nodeId);
      }),
      // A new life has said nothing yet, and nobody says so.
      parts.membership.onMemberChanged(({ nodeId, member }) => {
        this.#decoded.delete(nodeId);
        this.#inventoryRevision++;
        if (member === undefined) this.#loadHeardMs.delete(nodeId);
        const isThere = member?.standing === "alive" || member?.standing === "suspect";
        if (!isThere) parts.keys?.hear(nodeId, undefined);
      }),
    ];
    parts.keys?.onChanged(() => this.loadChanged());
    this.loadChanged();
  }

  /** What is constant for one start. */
  tellFacts(facts: NodeFacts): void {
    this.#parts.membership.publish(NODE_FACTS_KEY, encodeNodeFacts(facts));
  }

  /** Where this node serves HTTP. */
  tellHttp(http: NodeHttp): void {
    this.#parts.membership.publish(NODE_HTTP_KEY, encodeNodeHttp(http));
  }

  /** Room for models. Whoever calls it decides whether the change is worth telling. */
  tellDisk(disk: NodeDisk): void {
    this.#parts.membership.publish(NODE_DISK_KEY, encodeNodeDisk(disk));
  }

  /** Whether this node takes part in the log's group; undefined = it does. Cheap where it told so before. */
  tellFence(kind: string | undefined): void {
    if (this.#toldFence === kind) return;
    this.#toldFence = kind;
    this.#parts.membership.publish(NODE_FENCE_KEY, encodeNodeFence({ kind: kind ?? "" }));
  }

  /** Whether this node takes nothing new, because other programs use its machine. */
  tellYield(yields: boolean): void {
    this.#parts.membership.publish(
      NODE_YIELD_KEY,
      encodeNodeYield({ to: yields ? "programs" : "" }),
    );
  }

  /** Manifests this node holds whole; of more than 3,000 the newest are told. */
  tellInventory(newestFirst: readonly ManifestPrefix[]): void {
    for (const [key, value] of encodeInventory(newestFirst)) {
      this.#parts.membership.publish(key, value);
    }
  }

  /** Requests, slots or loaded models changed. Cheap; told in a later turn, once for many calls. */
  loadChanged(): void {
    this.#lookAt(this.#parts.clock.monotonicMs());
  }

  /** Another number whenever a node may hold other models than before. */
  get inventoryRevision(): number {
    return this.#inventoryRevision;
  }

  /** What a node said, this one included. */
  find(nodeId: NodeId): NodeGossip {
    const known = this.#decoded.get(nodeId);
    if (known !== undefined) return known;
    const values = this.#parts.membership.values(nodeId);
    const read = <T>(key: string, decode: (bytes: Uint8Array) => Decoded<T>) =>
      this.#read({ nodeId, key, bytes: values.get(key) }, decode);
    const gossip: NodeGossip = {
      facts: read(NODE_FACTS_KEY, decodeNodeFacts),
      load: read(NODE_LOAD_KEY, decodeNodeLoad),
      loadHeardMs: this.#loadHeardMs.get(nodeId) ?? -Infinity,
      loaded: read(LOADED_COPIES_KEY, decodeLoadedCopies),
      exact: read(EXACT_COPIES_KEY, decodeExactCopies)?.copies ?? [],
      split: read(NODE_SPLIT_KEY, decodeNodeSplit),
      inventory: decodeInventory(values),
      disk: read(NODE_DISK_KEY, decodeNodeDisk),
      devices: read(NODE_DEVICES_KEY, decodeNodeDevices)?.devices ?? [],
      speeds: read(MODEL_SPEEDS_KEY, decodeModelSpeeds)?.models ?? [],
      prefixes: marksOf(read(COMPUTED_PREFIXES_KEY, decodeComputedPrefixes)?.models ?? []),
      fence: read(NODE_FENCE_KEY, decodeNodeFence)?.kind || undefined,
      yields: (read(NODE_YIELD_KEY, decodeNodeYield)?.to ?? "") !== "",
      http: read(NODE_HTTP_KEY, decodeNodeHttp),
    };
    // This node's own values change without a word; a node without any may have been heard of only just now.
    if (nodeId !== this.#parts.nodeId && values.size > 0) this.#remember(nodeId, gossip);
    return gossip;
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stopListening) stop();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookAt(dueMs: number): void {
    if (this.#closed || (this.#timer?.dueMs ?? Infinity) <= dueMs) return;
    this.#timer?.cancel();
    const { clock } = this.#parts;
    const timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#timer = undefined;
      this.#look();
    });
    this.#timer = { dueMs, cancel: () => timer.cancel() };
  }

  #look(): void {
    const { clock, membership, readLoad, readLoaded } = this.#parts;
    const nowMs = clock.monotonicMs();
    const moment = { nowMs, members: membership.clusterSize };
    const { load, nextLookMs = Infinity } = this.#loadReports.look(readLoad(), moment);
    if (load !== undefined) membership.publish(NODE_LOAD_KEY, encodeNodeLoad(load));
    const told = this.#copiesReports.look(readLoaded(), moment);
    if (told.copies !== undefined) {
      membership.publish(LOADED_COPIES_KEY, encodeLoadedCopies(told.copies));
    }
    const speeds = this.#speedsReports.look(this.#parts.readSpeeds(), moment);
    if (speeds !== undefined) membership.publish(MODEL_SPEEDS_KEY, encodeModelSpeeds(speeds));
    const devices = encodeNodeDevices(this.#parts.readDevices());
    if (!equalBytes(devices, this.#toldDevices)) {
      this.#toldDevices = devices;
      membership.publish(NODE_DEVICES_KEY, devices);
    }
    const exact = encodeExactCopies(this.#parts.readExact());
    if (!equalBytes(exact, this.#toldExact)) {
      this.#toldExact = exact;
      membership.publish(EXACT_COPIES_KEY, exact);
    }
    const split = this.#parts.readSplit();
    if (isNews(split, this.#toldSplit)) {
      this.#toldSplit = split;
      membership.publish(NODE_SPLIT_KEY, encodeNodeSplit(split));
    }
    this.#lookAtPrefixes(moment);
    const keysMs = this.#tellKeys(moment);
    this.#lookAt(Math.min(nowMs + LOOK_MS, nextLookMs, told.nextLookMs ?? Infinity, keysMs));
  }

  /** @returns When to look again. */
  #tellKeys({ nowMs, members }: Moment): number {
    const uses = this.#parts.keys?.read();
    // A new day alone is no news.
    const keys = JSON.stringify(uses?.keys ?? []);
    if (uses === undefined || keys === this.#toldKeys) return Infinity;
    const dueMs = this.#toldKeysMs + KEY_USES_GAP_MS * tellingStretch(members, "major");
    if (nowMs < dueMs) return dueMs;
    [this.#toldKeys, this.#toldKeysMs] = [keys, nowMs];
    this.#parts.membership.publish(KEY_USES_KEY, encodeKeyUses(uses));
    return Infinity;
  }

  #hearKeys(nodeId: NodeId): void {
    const { keys, membership, nodeId: self } = this.#parts;
    if (keys === undefined || nodeId === self) return;
    const bytes = membership.values(nodeId).get(KEY_USES_KEY);
    const uses = this.#read({ nodeId, key: KEY_USES_KEY, bytes }, decodeKeyUses);
    if (uses !== undefined) keys.hear(nodeId, uses);
  }

  /** Each answer changes them, and nobody needs to know at once: who sent a request knows where it went. */
  #lookAtPrefixes({ nowMs, members }: Moment): void {
    const gapMs = PREFIXES_GAP_MS * tellingStretch(members, "major");
    if (nowMs < this.#toldPrefixesMs + gapMs) return;
    const prefixes = encodeComputedPrefixes(this.#parts.readPrefixes());
    if (equalBytes(prefixes, this.#toldPrefixes)) return;
    this.#toldPrefixes = prefixes;
    this.#toldPrefixesMs = nowMs;
    this.#parts.membership.publish(COMPUTED_PREFIXES_KEY, prefixes);
  }

  #hearLoad(nodeId: NodeId): void {
    this.#loadHeardMs.set(nodeId, this.#parts.clock.monotonicMs());
  }

  #remember(nodeId: NodeId, gossip: NodeGossip): void {
    this.#decoded.set(nodeId, gossip);
  }

  #read<T>(
    value: {
      readonly nodeId: NodeId;
      readonly key: string;
      readonly bytes: Uint8Array | undefined;
    },
    decode: (bytes: Uint8Array) => Decoded<T>,
  ): T | undefined {
    if (value.bytes === undefined) return undefined;
    const decoded = decode(value.bytes);
    if (decoded.kind === "decoded") return decoded.value;
    const { nodeId: peer, key } = value;
    const { clock, log, metrics } = this.#parts;
    metrics.increment("odist_gossip_values_refused_total", { peer });
    const unsaid = this.#refusedLines.claim(peer, clock.monotonicMs());
    if (unsaid === undefined) return undefined;
    const { reason } = decoded;
    log.log("warn", "gossip_value_malformed", { peer, key, reason, count: 1 + unsaid });
    return undefined;
  }
}

function marksOf(
  models: readonly ComputedPrefixes[],
): ReadonlyMap<ManifestPrefix, ReadonlySet<number>> {
  return new Map(models.map(({ manifest, marks }) => [manifest, new Set(marks)]));
}

function isNews(split: NodeSplit, told: NodeSplit | undefined): boolean {
  if (told === undefined) return true;
  const hasMoved = (figure: "roomBytes" | "bytesPerMs") =>
    Math.abs(split[figure] - told[figure]) > told[figure] * SPLIT_STEP;
  return hasMoved("roomBytes") || hasMoved("bytesPerMs") ||
    JSON.stringify(split.models) !== JSON.stringify(told.models);
}
