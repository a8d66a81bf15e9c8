import { isEdgeError, RequestError } from "../base/mod.ts";
import { admittedMembers, type MemberRows } from "../core/catalogue/mod.ts";
import type { Clock, Log } from "../ports/mod.ts";
import {
  askStanding,
  authorityIds,
  type DialSeed,
  type OwnStanding,
  type Seed,
  type StoredIdentity,
} from "../transport/mod.ts";
import { clusterIdOf, decodeJoinToken, parseAddress } from "../protocol/mod.ts";
import { type ShutOut, StandingWatch } from "./standing_watch.ts";

/** How long a start waits to hear whether this node is still a member. Silence means that it goes on as one. */
const START_LIMIT_MS = 1_500;
/** How long a member may take that this node asks while it runs; it waits for a quorum meanwhile. */
const ASK_LIMIT_MS = 5_000;

/** What asking takes. */
interface AskingParts {
  readonly stored: StoredIdentity;
  readonly name: string;
  readonly clock: Clock;
  readonly dial: DialSeed;
  readonly signal: AbortSignal;
}

/** What asking at a start takes. */
export interface OwnStandingParts extends AskingParts {
  readonly seeds: readonly Seed[];
  /** Looks on the local network for members of a cluster where no seed is told; absent = it is not to look. */
  readonly find?: ((clusterId: string, patienceMs: number) => Promise<readonly Seed[]>) | undefined;
  /** "" = none. */
  readonly token: string;
  readonly log: Log;
}

/**
 * What a node is to the cluster it believes to be of, where it is told to join just that: one that was taken out of it while it
 * was off has to join as a new one. `unknown` also where the token is of another cluster.
 *
 * @throws RequestError `join_refused` for a node that was shut out for good.
 */
export async function askOwnStanding(
  parts: OwnStandingParts,
): Promise<Exclude<OwnStanding, "revoked">> {
  const { stored: { membership }, token, log } = parts;
  const decoded = decodeJoinToken(token);
  if (decoded.kind === "malformed" || membership === undefined) return "unknown";
  const { authorityKey } = decoded.value;
  const { authority, identity: { clusterId } } = membership;
  const seeds = await seedsOf(parts, clusterIdOf(authorityKey));
  const isKnown = authorityIds(authority).includes(clusterIdOf(authorityKey));
  const words = await Promise.all(seeds.map(async (seed) => {
    // The cluster's authority may be a later one, which this node's own leads on to. That one alone says too little: it was
    // replaced because somebody may have its key who should not.
    const own = isKnown ? undefined : await askAt(seed, authority.publicKey, parts);
    if (own === "unknown") return own;
    const word = await askAt(seed, authorityKey, parts);
    return own === undefined || own === word ? word : "unknown";
  }));
  if (words.includes("revoked")) {
    throw new RequestError("join_refused", shutOutText("revoked", clusterId));
  }
  if (words.includes("member")) return "member";
  if (!words.includes("removed")) return "unknown";
  log.log("warn", "was_removed", { cluster: clusterId, then: "joins as a new member" });
  return "removed";
}

/** Where it is told to ask; a local network that can't be listened to is a silent one. */
async function seedsOf(
  { seeds, find, signal, log }: OwnStandingParts,
  clusterId: string,
): Promise<readonly Seed[]> {
  if (seeds.length > 0 || find === undefined) return seeds;
  try {
    return await find(clusterId, START_LIMIT_MS);
  } catch (error) {
    signal.throwIfAborted();
    if (!isEdgeError(error)) throw error;
    log.log("warn", "members_not_looked_for", { reason: error.message });
    return [];
  }
}

function askAt(
  seed: Seed,
  authorityKey: Uint8Array<ArrayBuffer>,
  parts: OwnStandingParts,
): Promise<OwnStanding> {
  return askStanding(seed, {
    ...parts,
    asked: { authorityKey },
    key: parts.stored.key,
    limitMs: START_LIMIT_MS,
  });
}

/** What happened, and what to type. */
export function shutOutText(standing: ShutOut, clusterId: string): string {
  if (standing === "revoked") {
    return `This node was revoked from cluster ${clusterId}, which lets it in no more: ` +
      "to go on, start it with another data folder (--data) and --models for the models it has";
  }
  return `This node was removed from cluster ${clusterId}. To come back as a new member with its models, ` +
    "run odist token create on a member, and start this node with --join HOST:PORT and that token; " +
    "started without, it goes on as a cluster of its own";
}

/** What a {@link StandingWatch} is made of. */
export interface WatchStandingParts extends AskingParts {
  readonly catalogue: () => MemberRows;
  readonly isConnected: () => boolean;
  readonly onShutOut: (standing: ShutOut) => void;
}

/** Watches by asking members by the keys that the catalogue has for them. */
export function watchStanding(parts: WatchStandingParts): StandingWatch {
  const { stored, catalogue, clock, isConnected, onShutOut } = parts;
  return new StandingWatch({
    clock,
    isConnected,
    onShutOut,
    othersCount: () => admittedMembers(catalogue(), stored.nodeId).length,
    ask: async ({ nodeId, address }) => {
      const row = catalogue().findMember(nodeId);
      if (row?.standing !== "admitted") return "unknown";
      const asked = { nodeId, publicKey: Uint8Array.from(row.publicKey) };
      const by = { ...parts, asked, key: stored.key, limitMs: ASK_LIMIT_MS };
      const seed = parseAddress(address);
      return seed === undefined ? "unknown" : await askStanding(seed, by);
    },
  });
}
