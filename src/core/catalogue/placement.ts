import { mixSeed, type NodeId } from "../../base/mod.ts";

/** A manifest that the cluster has. Several names may point at it. */
export interface PlacedModel {
  /** SHA-256 of the manifest's bytes, in hex. */
  readonly manifestDigest: string;
  /** Of all blobs together. */
  readonly blobBytes: number;
  /** Copies wanted; 0 = {@link PlacementOptions.replicasDefault}. */
  readonly replicas: number;
  /** Nodes that are to hold it whatever else is decided. */
  readonly pins: readonly NodeId[];
  /**
   * How long this node has known it. Milliseconds. Not the time since it was made: clocks of two nodes may be hours apart.
   */
  readonly ageMs: number;
}

/** An admitted member as seen from here. */
export interface PlacementNode {
  readonly nodeId: NodeId;
  /**
   * Since when it has been of no use (not alive, or drained). Milliseconds; undefined = it is of use; Infinity = it left and
   * is not waited for.
   */
  readonly awayMs: number | undefined;
  /** Its copies can be fetched; so they can of one that is drained. */
  readonly reachable: boolean;
  /** Free bytes where it keeps blobs; undefined = not told, and then there is room. */
  readonly freeBytes: number | undefined;
  /** Manifest digests whose blobs it holds. */
  readonly held: ReadonlySet<string>;
}

/** How eagerly copies are made. */
export interface PlacementOptions {
  /** Copies of a model that says nothing itself, where there are as many nodes. Default 2. */
  readonly replicasDefault: number;
  /** A new model stays where it was made for this long: most are tried, changed and made again. Milliseconds, default 30,000. */
  readonly replicateAfterMs: number;
  /** A holder may be away for this long before its copies are made elsewhere: longer than a restart takes. Milliseconds, default 60,000. */
  readonly repairAfterMs: number;
}

/** A model that a node should get. */
export interface PlannedFetch {
  readonly manifestDigest: string;
  readonly because: "pinned" | "replica";
}

/**
 * Which nodes should hold a model, by id. Pins first; then who holds it already, so that nothing moves when a node comes;
 * then nodes with room, each in the order of its own draw for this model (rendezvous hashing), so that a node that goes
 * leaves its models to all others alike. Copies that are not among them are nobody's concern: none is deleted.
 */
export function placeModel(
  model: PlacedModel,
  nodes: readonly PlacementNode[],
  options: PlacementOptions,
): readonly NodeId[] {
  // A holder that will be back in a moment counts, or each restart would copy everything it holds.
  const present = nodes.filter(({ awayMs }) =>
    awayMs === undefined || awayMs < options.repairAfterMs
  );
  const pinned = present.filter(({ nodeId }) => model.pins.includes(nodeId));
  const ranked = present.filter((node) => !pinned.includes(node))
    .map((node) => ({ node, draw: drawOf(model.manifestDigest, node.nodeId) }))
    .sort((a, b) => b.draw - a.draw || (a.node.nodeId < b.node.nodeId ? -1 : 1))
    .map(({ node }) => node);
  const holders = ranked.filter((node) => node.held.has(model.manifestDigest));
  const others = ranked.filter((node) =>
    node.awayMs === undefined && !holders.includes(node) && hasRoom(node, model)
  );
  const wanted = Math.max(pinned.length, model.replicas || options.replicasDefault);
  return [...pinned, ...holders, ...others].slice(0, wanted).map(({ nodeId }) => nodeId).sort();
}

/**
 * What one node should get now, in this order: what is pinned to it, then the smallest. Only models that another node can
 * send.
 */
export function planFetches(
  self: NodeId,
  facts: { readonly models: readonly PlacedModel[]; readonly nodes: readonly PlacementNode[] },
  options: PlacementOptions,
): readonly PlannedFetch[] {
  const own = facts.nodes.find(({ nodeId }) => nodeId === self);
  if (own === undefined || own.awayMs !== undefined) return [];
  const planned: (PlannedFetch & { readonly blobBytes: number })[] = [];
  for (const model of facts.models) {
    const { manifestDigest, blobBytes } = model;
    if (own.held.has(manifestDigest)) continue;
    const isPinned = model.pins.includes(self);
    if (!isPinned && model.ageMs < options.replicateAfterMs) continue;
    const isSource = (node: PlacementNode) => node.reachable && node.held.has(manifestDigest);
    if (!facts.nodes.some(isSource)) continue;
    if (!placeModel(model, facts.nodes, options).includes(self)) continue;
    planned.push({ manifestDigest, because: isPinned ? "pinned" : "replica", blobBytes });
  }
  planned.sort((a, b) =>
    Number(b.because === "pinned") - Number(a.because === "pinned") || a.blobBytes - b.blobBytes ||
    (a.manifestDigest < b.manifestDigest ? -1 : 1)
  );
  return planned.map(({ manifestDigest, because }) => ({ manifestDigest, because }));
}

/** Models of which there would be one copy more if one node had the room, those that lack the most first. */
export function planShortages(
  self: NodeId,
  facts: { readonly models: readonly PlacedModel[]; readonly nodes: readonly PlacementNode[] },
  options: PlacementOptions,
): readonly PlacedModel[] {
  const own = facts.nodes.find(({ nodeId }) => nodeId === self);
  if (own === undefined || own.awayMs !== undefined) return [];
  const roomy = facts.nodes.map((node) => node === own ? { ...own, freeBytes: undefined } : node);
  return facts.models.filter((model) =>
    model.ageMs >= options.replicateAfterMs && !own.held.has(model.manifestDigest) &&
    !hasRoom(own, model) &&
    placeModel(model, facts.nodes, options).length < placeModel(model, roomy, options).length
  ).sort((a, b) => b.blobBytes - a.blobBytes || (a.manifestDigest < b.manifestDigest ? -1 : 1));
}

/** Free bytes count as changed beyond an eighth of what was told: only whether a model fits is decided with them. */
const ROOM_STEP_SHARE = 8;

/** Whether other nodes should hear of this node's free bytes. */
export function isRoomNews(toldBytes: number | undefined, freeBytes: number): boolean {
  if (toldBytes === undefined) return true;
  return Math.abs(toldBytes - freeBytes) * ROOM_STEP_SHARE > toldBytes;
}

function hasRoom(node: PlacementNode, model: PlacedModel): boolean {
  return node.freeBytes === undefined || node.freeBytes >= model.blobBytes;
}

/** The same on every node: 32 bits from the beginnings of two hashes. */
function drawOf(manifestDigest: string, nodeId: NodeId): number {
  const model = mixSeed(wordOf(manifestDigest, 0), wordOf(manifestDigest, 8));
  return mixSeed(model ^ wordOf(nodeId, 0), wordOf(nodeId, 8));
}

function wordOf(hex: string, start: number): number {
  return Number.parseInt(hex.slice(start, start + 8), 16) >>> 0;
}
