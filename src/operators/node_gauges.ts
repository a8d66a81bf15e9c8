import type { NodeId } from "../base/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { Metrics } from "../ports/mod.ts";

/** Another member, as far as copies are concerned. */
interface Copyist {
  readonly address: { readonly nodeId: NodeId };
  readonly standing: string;
  readonly asleep: boolean;
  holds(manifestDigest: string): boolean;
}

/** What the gauges are read from. */
export interface NodeGaugesParts {
  readonly cluster: {
    readonly settings: { readonly self: { readonly nodeId: NodeId } };
    readonly group: {
      readonly catalogue: Pick<Catalogue, "models">;
      readonly fenced: unknown;
      view(): Pick<RaftView, "leader" | "committed" | "applied" | "configuration">;
    };
    readonly membership: { find(nodeId: NodeId): { readonly standing: string } | undefined };
    readonly views: {
      members(): readonly Copyist[];
      /** Undefined = nobody can wake it. */
      wakeMsOf(nodeId: NodeId): number | undefined;
    };
    changes(): { readonly kind: string };
  };
  readonly driver: {
    view(): {
      readonly instances: readonly {
        readonly state: string;
        readonly slots: number;
        readonly running: number;
      }[];
    };
    oldestWaitMs(): number;
  };
  readonly sharing: { readonly copies: { held(): Iterable<string> } };
  readonly stored: { readonly expiresAtMs: number | undefined };
  readonly machine: { availableBytes(): number };
  /** As {@link roomGauges} gives it. */
  readonly lookAtRoom: () => void;
}

/** Where a model's copies are. */
type Copies = "awake" | "asleep" | "unwakeable" | "none";

/** The same metrics, with `look` called before each time they are shown. */
export function lookBeforeRender(metrics: Metrics, look: () => void): Metrics {
  return {
    increment: (name, labels, by) => metrics.increment(name, labels, by),
    set: (name, value, labels) => metrics.set(name, value, labels),
    observe: (name, value, labels, example) => metrics.observe(name, value, labels, example),
    render(format) {
      look();
      return metrics.render(format);
    },
  };
}

/** What there is room on. */
export interface RoomParts<Instance> {
  /** Of the disk that the models lie on; undefined = it can't be told. */
  readonly freeBytes: () => Promise<number | undefined>;
  /** What models are computed on beside the cores. */
  readonly devices: {
    told(instances: readonly Instance[]): readonly {
      readonly name: string;
      readonly totalBytes: number;
      readonly freeBytes: number;
    }[];
  };
  readonly driver: { view(): { readonly instances: readonly Instance[] } };
}

/**
 * Looks at disk and devices now and at each call. Of the disk the gauge tells what was found last: a disk may take long to
 * answer, and whoever asks for metrics is not to wait for it. One look at a time.
 */
export function roomGauges<Instance>(
  { freeBytes, devices, driver }: RoomParts<Instance>,
  metrics: Pick<Metrics, "set">,
): () => void {
  let isLooking = false;
  const lookAtDisk = async () => {
    if (isLooking) return;
    isLooking = true;
    const bytes = await freeBytes();
    isLooking = false;
    if (bytes !== undefined) metrics.set("odist_disk_free_bytes", bytes);
  };
  const known = new Set<string>();
  const lookAtDevices = () => {
    const told = devices.told(driver.view().instances);
    const there = new Map(told.map((device) => [device.name, device]));
    for (const name of there.keys()) known.add(name);
    // A gauge keeps what it was set to last: one that is gone would seem to be there.
    for (const device of known) {
      const { totalBytes, freeBytes: free } = there.get(device) ?? { totalBytes: 0, freeBytes: 0 };
      metrics.set("odist_device_memory_bytes", totalBytes - free, { device, state: "used" });
      metrics.set("odist_device_memory_bytes", free, { device, state: "free" });
    }
  };
  const look = () => {
    void lookAtDisk();
    lookAtDevices();
  };
  look();
  return look;
}

/** Sets what is only worth reading when somebody asks: what the node knows of itself and its cluster. */
export function setNodeGauges(parts: NodeGaugesParts, metrics: Metrics): void {
  setGroupGauges(parts, metrics);
  setModelGauges(parts, metrics);
  const { driver, machine, stored, lookAtRoom } = parts;
  lookAtRoom();
  const ready = driver.view().instances.filter(({ state }) => state === "ready");
  const slots = ready.reduce((sum, instance) => sum + instance.slots, 0);
  const busy = ready.reduce((sum, { running }) => sum + running, 0);
  metrics.set("odist_slots", busy, { state: "busy" });
  metrics.set("odist_slots", Math.max(0, slots - busy), { state: "free" });
  metrics.set("odist_queue_oldest_seconds", driver.oldestWaitMs() / 1000);
  metrics.set("odist_memory_available_bytes", machine.availableBytes());
  const { expiresAtMs } = stored;
  if (expiresAtMs !== undefined) {
    metrics.set("odist_certificate_expiry_timestamp_seconds", expiresAtMs / 1000);
  }
}

function setGroupGauges({ cluster }: NodeGaugesParts, metrics: Metrics): void {
  const { group, membership, settings } = cluster;
  const { leader, committed, applied, configuration } = group.view();
  const voters = [...new Set([...configuration.voters, ...configuration.votersOutgoing])];
  const isUp = (voter: NodeId) =>
    voter === settings.self.nodeId
      ? group.fenced === undefined
      : membership.find(voter)?.standing === "alive";
  const up = voters.filter(isUp).length;
  metrics.set("odist_raft_leader_known", leader === undefined ? 0 : 1);
  metrics.set("odist_raft_takes_changes", cluster.changes().kind === "possible" ? 1 : 0);
  metrics.set("odist_raft_fenced", group.fenced === undefined ? 0 : 1);
  metrics.set("odist_raft_committed_index", committed);
  metrics.set("odist_raft_applied_index", applied);
  metrics.set("odist_raft_voters", up, { state: "up" });
  metrics.set("odist_raft_voters", voters.length - up, { state: "down" });
}

function setModelGauges({ cluster, sharing }: NodeGaugesParts, metrics: Metrics): void {
  const members = cluster.views.members();
  const held = new Set(sharing.copies.held());
  const counts: Record<Copies, number> = { awake: 0, asleep: 0, unwakeable: 0, none: 0 };
  for (const { manifestDigest } of cluster.group.catalogue.models()) {
    if (held.has(manifestDigest)) counts.awake++;
    else counts[copiesAmong(members.filter((it) => it.holds(manifestDigest)), cluster.views)]++;
  }
  for (const [copies, count] of Object.entries(counts)) {
    metrics.set("odist_models", count, { copies });
  }
  metrics.set("odist_members_asleep", members.filter(({ asleep }) => asleep).length);
}

function copiesAmong(
  holders: readonly Copyist[],
  views: NodeGaugesParts["cluster"]["views"],
): Copies {
  if (holders.some(({ standing }) => standing === "alive" || standing === "suspect")) {
    return "awake";
  }
  const asleep = holders.filter((holder) => holder.asleep);
  if (asleep.some(({ address }) => views.wakeMsOf(address.nodeId) !== undefined)) return "asleep";
  return asleep.length > 0 ? "unwakeable" : "none";
}
