import { type NodeId, RequestError } from "../base/mod.ts";
import { Catalogue, isOwnSetting, judgeJoin, recoveriesOf } from "../core/catalogue/mod.ts";
import type { Clock, Log, RaftLogStore } from "../ports/mod.ts";
import { clusterIdOf, decodeJoinToken, type JoinAnswer } from "../protocol/mod.ts";
import {
  authorityIds,
  type DialSeed,
  findNodes,
  joinCluster,
  openMulticast,
  type Seed,
  type StoredIdentity,
} from "../transport/mod.ts";

/** How long a node with `--discover` listens for a member of its token's cluster. */
const DISCOVER_MS = 10_000;

/** What joining is decided by. */
export interface JoinWish {
  readonly addresses: readonly Seed[];
  readonly discover: boolean;
  /** "" = none. */
  readonly token: string;
}

export interface JoinParts {
  readonly stored: StoredIdentity;
  readonly wish: JoinWish;
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly dial: DialSeed;
  /** Opens the log of the cluster this node is of. */
  readonly openLog: (owner: NodeId) => Promise<RaftLogStore>;
  /** A member said that the token's cluster is this node's, whose authority may be a later one than it knows. */
  readonly isMember: boolean;
  /** It is known that this node's cluster was recovered elsewhere. */
  readonly isOver: boolean;
  /** Deletes that log. */
  readonly dropLog: () => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Joins where the configuration says so and the node is not a member already; undefined = it goes on as what it is.
 *
 * @throws RequestError `join_refused` or `conflict`; UnavailableError `node_unreachable` or `no_quorum`.
 */
export async function joinIfWished(parts: JoinParts): Promise<JoinAnswer | undefined> {
  const { wish, stored } = parts;
  if (wish.token === "") {
    if (wish.addresses.length === 0 || await belongsWithOthers(parts)) return undefined;
    throw new RequestError(
      "join_refused",
      "Cannot join without a token: run odist token create on a member and start this node with --token",
    );
  }
  const decoded = decodeJoinToken(wish.token);
  if (decoded.kind === "malformed") {
    throw new RequestError("join_refused", `Cannot read the join token: ${decoded.reason}`);
  }
  const clusterId = clusterIdOf(decoded.value.authorityKey);
  const judgement = judgeJoin(await describeNode(parts, clusterId), clusterId);
  if (judgement.kind === "member_already") return undefined;
  if (judgement.kind === "refused") {
    throw new RequestError("conflict", `Cannot join: ${judgement.reason}`);
  }
  const answer = await join(parts, clusterId);
  // Before the new papers: a log of another cluster must never be found beside them.
  await parts.dropLog();
  await stored.adopt(answer);
  return answer;
}

/** A node that is alone in a cluster of its own was not told to join it: going on there would hide the mistake. */
async function belongsWithOthers(parts: JoinParts): Promise<boolean> {
  const { membership } = parts.stored;
  if (membership === undefined) return false;
  if (membership.origin === "joined") return true;
  const { otherMembers, isRecovered } = await describeNode(parts);
  return otherMembers > 0 || isRecovered;
}

async function join(parts: JoinParts, clusterId: string): Promise<JoinAnswer> {
  const { wish, stored, name, clock, log, dial, signal } = parts;
  const seeds = wish.addresses.length > 0 ? wish.addresses : await discover(parts, clusterId);
  return await joinCluster({
    seeds,
    token: wish.token,
    key: stored.key,
    name,
    clock,
    dial,
    signal,
    onAttemptFailed: ({ seed, kind, text }) =>
      log.log("warn", "join_attempt_failed", { seed, kind, reason: text }),
  });
}

/**
 * A token may name its cluster by an authority that was: `wantedId` of any of them is the cluster's. So it is of one that
 * this node's was recovered from: how the node was started before that must not take it back there.
 */
async function describeNode(parts: JoinParts, wantedId?: string) {
  const { membership, nodeId } = parts.stored;
  const { isOver, isMember } = parts;
  if (membership === undefined) {
    return { cluster: undefined, otherMembers: 0, catalogueRows: 0, isOver, isRecovered: false };
  }
  const { origin, identity: { clusterId } } = membership;
  const isOwn = (id: string) => isMember || authorityIds(membership.authority).includes(id);
  if (wantedId !== undefined && isOwn(wantedId)) {
    // Without its log, which may be damaged.
    const cluster = { clusterId: wantedId, origin };
    return { cluster, otherMembers: 0, catalogueRows: 0, isOver, isRecovered: false };
  }
  const store = await parts.openLog(nodeId);
  try {
    const catalogue = replay(store);
    const before = recoveriesOf(catalogue).flatMap(({ recovery }) => recovery.clusterIds);
    const isOurs = wantedId !== undefined && before.includes(wantedId);
    return {
      cluster: { clusterId: isOurs ? wantedId : clusterId, origin },
      otherMembers: catalogue.members().filter((row) => row.nodeId !== nodeId).length,
      isOver,
      isRecovered: before.length > 0,
      // Models are not among them: their files are here, and are shared with the new cluster.
      catalogueRows: catalogue.settings().filter(({ key }) => !isOwnSetting(key)).length +
        catalogue.apiKeys().length +
        catalogue.tokens().length,
    };
  } finally {
    await store.close();
  }
}

/** The catalogue of a log of which every entry counts: a node that may forget its cluster, or goes on alone, is its only voter. */
export function replay(store: RaftLogStore): Catalogue {
  const snapshot = store.snapshot();
  const restored = snapshot && Catalogue.restore(snapshot.data);
  const catalogue = restored?.kind === "decoded" ? restored.value : Catalogue.empty();
  const low = Math.max(store.firstIndex(), catalogue.appliedIndex + 1);
  for (const entry of store.entries(low, store.lastIndex() + 1, Infinity) ?? []) {
    catalogue.apply(entry.index, entry.kind === "command" ? entry.data : new Uint8Array(0));
  }
  return catalogue;
}

/** @throws RequestError `join_refused`. */
async function discover(parts: JoinParts, clusterId: string): Promise<readonly Seed[]> {
  const { log, wish } = parts;
  if (!wish.discover) {
    throw new RequestError("join_refused", "Cannot join: --token wants --join or --discover");
  }
  log.log("info", "looking_for_members", { clusterId });
  const found = await findMembers(clusterId, { ...parts, patienceMs: DISCOVER_MS });
  if (found.length > 0) return found;
  throw new RequestError(
    "join_refused",
    `Cannot join: no member of cluster ${clusterId} announced itself within ${
      DISCOVER_MS / 1000
    } s; name one with --join HOST:PORT`,
  );
}

/** Members of the cluster that announce themselves on this network. @throws UnavailableError `address_unusable`; the signal's reason. */
export async function findMembers(
  clusterId: string,
  by: Pick<JoinParts, "clock" | "log" | "signal"> & { readonly patienceMs: number },
): Promise<readonly Seed[]> {
  return await findNodes(clusterId, {
    ...by,
    openWire: openMulticast,
    onFault: (reason) => by.log.log("debug", "discovery_fault", { reason }),
  });
}
