import { BoundedMap, type NodeId } from "../base/mod.ts";
import {
  admittedMembers,
  type Catalogue,
  drainKey,
  leaveKey,
  type MemberRow,
} from "../core/catalogue/mod.ts";
import { readSleep, type Sleep, sleepKey } from "../core/sleeping/mod.ts";
import { type AwayHolders, type BlobMember, type Holder, loadFromGossip } from "../library/mod.ts";
import type { Clock, PeerAddress } from "../ports/mod.ts";
import {
  type LoadedCopy,
  type ManifestPrefix,
  manifestPrefixOf,
  type NodeSplit,
} from "../protocol/mod.ts";
import type { Gossip } from "./gossip.ts";
import type { MembershipDriver } from "./membership_driver.ts";

/** What the views are read from. */
export interface MemberViewsParts {
  /** This node. */
  readonly nodeId: NodeId;
  readonly group: { readonly catalogue: Catalogue };
  readonly membership: Pick<MembershipDriver, "find">;
  readonly gossip: Pick<Gossip, "find" | "inventoryRevision">;
  /** Where a member listens; "" when unknown. */
  readonly addressOf: (nodeId: NodeId) => string;
  readonly clock: Clock;
}

/** Manifests of which it is kept who holds them; the one unused for longest goes. */
const MANIFESTS_KNOWN_MAX = 256;

/** What holds as long as the rows and the inventories do that it was made from. */
interface Known {
  readonly catalogue: Catalogue;
  readonly appliedIndex: number;
  readonly inventoryRevision: number;
  readonly others: readonly MemberRow[];
  readonly holding: BoundedMap<ManifestPrefix, readonly MemberRow[]>;
}

/** What another node of the cluster has loaded, as it last told. */
export interface LoadedElsewhere {
  /** Its name. */
  readonly node: string;
  readonly copies: readonly LoadedCopy[];
  /** Of the copies those that several nodes compute, led by this one. */
  readonly split: NodeSplit["models"];
}

/** The members of the cluster as models, slots and people need them: what the catalogue, gossip and membership say of each, put together. */
export class MemberViews {
  /** How long a member that is asleep takes to wake; undefined = nobody can wake it. */
  wakeMsOf: (nodeId: NodeId) => number | undefined = () => undefined;
  readonly #parts: MemberViewsParts;
  /** What was put together of all members, and from what. */
  #known: Known | undefined;

  constructor(parts: MemberViewsParts) {
    this.#parts = parts;
  }

  /** Rows of all admitted members but this node. */
  others(): readonly MemberRow[] {
    return this.#current().others;
  }

  /** Each request asks, and all members are looked at again only once one of them may be another, or hold other models. */
  #current(): Known {
    const { nodeId, group: { catalogue }, gossip } = this.#parts;
    const { appliedIndex } = catalogue;
    const { inventoryRevision } = gossip;
    const known = this.#known;
    const isCurrent = known?.catalogue === catalogue && known.appliedIndex === appliedIndex &&
      known.inventoryRevision === inventoryRevision;
    if (isCurrent) return known;
    return this.#known = {
      ...{ catalogue, appliedIndex, inventoryRevision },
      others: admittedMembers(catalogue, nodeId),
      holding: new BoundedMap(MANIFESTS_KNOWN_MAX),
    };
  }

  /**
   * Of the others those that said they hold a manifest's blobs, or had said so when they went to sleep: one that has just woken
   * may not have told yet what it holds.
   */
  #holding(prefix: ManifestPrefix): readonly MemberRow[] {
    const { others, holding } = this.#current();
    const known = holding.use(prefix) ??
      others.filter(({ nodeId }) =>
        this.#parts.gossip.find(nodeId).inventory.prefixes.has(prefix) ||
        this.sleepOf(nodeId)?.holds.includes(prefix) === true
      );
    holding.set(prefix, known);
    return known;
  }

  /** Names of the members that can't be reached now, among them first those that said they hold a manifest's blobs. */
  awayHolders(manifestDigest: string): AwayHolders {
    const prefix = manifestPrefixOf(manifestDigest);
    const away = this.others().filter(({ nodeId }) =>
      !this.isAsleep(nodeId) && this.#parts.membership.find(nodeId)?.standing !== "alive"
    );
    const holding = away.filter(({ nodeId }) =>
      this.#parts.gossip.find(nodeId).inventory.prefixes.has(prefix)
    );
    return {
      holders: holding.map(nameOf),
      others: away.filter((row) => !holding.includes(row)).map(nameOf),
    };
  }

  /** All admitted members but this one, as blobs see them. */
  members(): readonly BlobMember[] {
    return this.others().map(({ nodeId }) => {
      const member = this.#parts.membership.find(nodeId);
      const { inventory, disk } = this.#parts.gossip.find(nodeId);
      const asleep = this.isAsleep(nodeId);
      const holds = new Set<string>(asleep ? this.sleepOf(nodeId)?.holds : inventory.prefixes);
      return {
        address: { nodeId, address: this.#parts.addressOf(nodeId) },
        standing: member?.standing ?? "unknown",
        asleep,
        drained: this.isDrained(nodeId),
        freeBytes: disk?.freeBytes,
        holds: (digest) => holds.has(manifestPrefixOf(digest)),
      };
    });
  }

  /** Where a member listens that could be asked now; undefined = it can't, or is none. */
  reachable(nodeId: NodeId): PeerAddress | undefined {
    const standing = this.#parts.membership.find(nodeId)?.standing;
    const isThere = standing === "alive" || standing === "suspect";
    const isMember = isThere && this.others().some((row) => row.nodeId === nodeId);
    return isMember ? { nodeId, address: this.#parts.addressOf(nodeId) } : undefined;
  }

  /** Of these, those that stay and that `isMeant`. */
  stayers(isMeant: (member: BlobMember) => boolean): readonly BlobMember[] {
    return this.members().filter((it) => isMeant(it) && !this.isLeaving(it.address.nodeId));
  }

  /** Other members that said that they hold a manifest's blobs. */
  holders(manifestDigest: string): readonly Holder[] {
    const prefix = manifestPrefixOf(manifestDigest);
    const nowMs = this.#parts.clock.monotonicMs();
    return this.#holding(prefix).flatMap(({ nodeId, label }): Holder[] => {
      if (this.isAsleep(nodeId)) {
        return this.sleepOf(nodeId)?.holds.includes(prefix) === true
          ? [this.#sleepingHolder(nodeId, label)]
          : [];
      }
      const member = this.#parts.membership.find(nodeId);
      if (member === undefined || member.standing === "left") return [];
      const gossip = this.#parts.gossip.find(nodeId);
      const { load, loaded: copies, speeds, devices, loadHeardMs, exact } = gossip;
      const told = load && { load, copies, speeds, devices, ageMs: nowMs - loadHeardMs };
      return [{
        nodeId,
        name: label,
        address: member.address,
        health: member.standing,
        drained: this.isDrained(nodeId),
        load: told && loadFromGossip(told, manifestDigest),
        numericClass: exact.find(({ manifest }) => manifest === prefix)?.numericClass,
        prefixMarks: gossip.prefixes.get(prefix),
      }];
    });
  }

  #sleepingHolder(nodeId: NodeId, name: string): Holder {
    const wakeMs = this.wakeMsOf(nodeId);
    const rest = { address: "", health: "asleep", drained: false, load: undefined } as const;
    return { nodeId, name, ...rest, ...wakeMs !== undefined && { wakeMs } };
  }

  /** What the catalogue says of a member's sleep. */
  sleepOf(nodeId: NodeId): Sleep | undefined {
    return readSleep(this.#parts.group.catalogue.findSetting(sleepKey(nodeId))?.value);
  }

  /** It said that it would sleep, and was not heard since. */
  isAsleep(nodeId: NodeId): boolean {
    if (this.sleepOf(nodeId)?.state !== "asleep") return false;
    const standing = this.#parts.membership.find(nodeId)?.standing;
    return standing !== "alive" && standing !== "suspect";
  }

  /** Other members that stay, for what concerns sleep. */
  fellows(): readonly { readonly nodeId: NodeId; readonly isAwake: boolean }[] {
    return this.others()
      .filter(({ nodeId }) => !this.isLeaving(nodeId))
      .map(({ nodeId }) => ({
        nodeId,
        isAwake: this.#parts.membership.find(nodeId)?.standing === "alive",
      }));
  }

  /** Other nodes that could compute for this one: not gone, not drained, and able to. */
  computing(): readonly {
    readonly address: PeerAddress;
    readonly name: string;
    readonly roomBytes: number;
    readonly bytesPerMs: number;
    readonly device?: { readonly name: string; readonly freeBytes: number };
    readonly isDoubted: boolean;
  }[] {
    return this.others().flatMap(({ nodeId, label }) => {
      const { split, devices } = this.#parts.gossip.find(nodeId);
      const standing = this.#parts.membership.find(nodeId)?.standing;
      const isThere = standing === "alive" || standing === "suspect";
      if (!isThere || split === undefined || this.isDrained(nodeId)) return [];
      const address = { nodeId, address: this.#parts.addressOf(nodeId) };
      const isDoubted = standing === "suspect";
      const { roomBytes, bytesPerMs } = split;
      // The memory of the other ones is the machine's own, which is counted already.
      const [device] = devices.filter(({ kind }) => kind === "gpu")
        .toSorted((a, b) => b.freeBytes - a.freeBytes);
      return [{ address, name: label, roomBytes, bytesPerMs, isDoubted, ...device && { device } }];
    });
  }

  /** What the other nodes that are not gone have loaded. */
  loadedElsewhere(): readonly LoadedElsewhere[] {
    return this.others().flatMap(({ nodeId, label }): LoadedElsewhere[] => {
      const standing = this.#parts.membership.find(nodeId)?.standing;
      if (standing !== "alive" && standing !== "suspect") return [];
      const { loaded, split } = this.#parts.gossip.find(nodeId);
      return [{ node: label, copies: loaded?.copies ?? [], split: split?.models ?? [] }];
    });
  }

  /** Of a node's loaded models those that several nodes compute, led by it, by their names. */
  splitModels(nodeId: NodeId) {
    const { loaded, split } = this.#parts.gossip.find(nodeId);
    return (split?.models ?? []).flatMap(({ manifest, shards }) => {
      const copy = loaded?.copies.find((one) => one.manifest === manifest);
      return copy === undefined ? [] : [{ name: copy.name, shards }];
    });
  }

  /** No new requests go there. */
  isDrained(nodeId: NodeId = this.#parts.nodeId): boolean {
    const { catalogue } = this.#parts.group;
    return catalogue.findSetting(drainKey(nodeId)) !== undefined || this.isLeaving(nodeId) ||
      this.sleepOf(nodeId)?.state === "going" || this.#parts.gossip.find(nodeId).yields;
  }

  /** It has asked the others to do without it. */
  isLeaving(nodeId: NodeId): boolean {
    return this.#parts.group.catalogue.findSetting(leaveKey(nodeId)) !== undefined;
  }
}

function nameOf({ label, nodeId }: MemberRow): string {
  return label || nodeId;
}
