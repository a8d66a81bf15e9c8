/**
 * A node whose cluster stands still, for pictures of the page: the shipped HTTP API over ports that always say the same.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { NodeId } from "../../src/base/mod.ts";
import { NO_LIMITS } from "../../src/core/queue/mod.ts";
import { listenTo, originOf } from "./served_app.ts";
import type {
  ClusterStatus,
  ListedModel,
  MemberStatus,
  RequestRow,
  WorkElsewhere,
} from "../../src/ports/mod.ts";
import { pageFilesIn } from "../../src/storage/mod.ts";
import { PAGE_FOLDER } from "../../scripts/packaging/page.ts";
import { appUnderTest } from "./http_app.ts";
import { scriptedAdmin } from "./scripted_admin.ts";

/** The time that its page has, whatever the clock on the wall says. */
export const PICTURED_AT_MS = Date.UTC(2026, 4, 4, 10, 30, 0);
/** Between two lines of the feed: less than a page takes for silence. */
const FEED_MS = 3_000;
const GIB = 2 ** 30;

/** A cluster that is looked at. */
export interface PicturedCluster {
  readonly status: ClusterStatus;
  readonly models: readonly ListedModel[];
  readonly requests: readonly RequestRow[];
}

/** A node that shows it, until disposed. */
export interface PicturedNode extends AsyncDisposable {
  readonly origin: string;
}

export async function pictureNode(cluster: PicturedCluster): Promise<PicturedNode> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const tested = appUnderTest({
    script: {
      listModels: () => Promise.resolve(cluster.models),
      showModel: () => Promise.reject(new Error("Nothing is shown in a picture")),
    },
    admin: adminOf(cluster),
    page: pageFilesIn(`${root}${PAGE_FOLDER}`),
    elsewhere: elsewhereOf(cluster.requests),
  });
  const listener = await listenTo(tested);
  return {
    origin: originOf(listener),
    [Symbol.asyncDispose]: () => listener.shutdown(),
  };
}

function adminOf({ status, models }: PicturedCluster) {
  const limits = { weight: 3, requestsPerMinute: 60, tokensPerDay: 0, concurrentRequests: 4 };
  const key = { createdAtMs: 0, expiresAtMs: 0, lastUsedAtMs: PICTURED_AT_MS };
  const [, second] = status.members;
  return scriptedAdmin({
    status: () => Promise.resolve(status),
    watch: (signal) => feedOf(status, signal),
    connections: () =>
      Promise.resolve(
        status.members.slice(1).map(({ nodeId }, index) => ({
          peer: nodeId,
          remoteAddress: "10.0.0.2:11435",
          direction: "dialed",
          wire: 1,
          openStreams: 1,
          queuedFrames: 0,
          roundTripMs: 0.4 + 3.3 * index,
        })),
      ),
    placement: () =>
      models.map(({ name, digest }, index) => ({
        name,
        digest,
        nodes: status.members.filter((_, at) => (at + index) % 3 !== 2).map((one) => one.name),
        pins: index === 0 && second !== undefined ? [second.name] : [],
      })),
    listKeys: () =>
      Promise.resolve([
        { keyId: "5b1c", label: "laptop", scopes: ["use"], limits, ...key },
        { keyId: "77aa", label: "phone", scopes: ["use", "models"], limits: NO_LIMITS, ...key },
      ]),
    audit: () =>
      Promise.resolve([{
        index: 7,
        atMs: PICTURED_AT_MS - 60_000,
        who: "key 5b1c laptop",
        from: "10.0.0.9",
        action: "put_setting",
        subject: "motto",
      }]),
  }).admin;
}

async function* feedOf(status: ClusterStatus, signal: AbortSignal): AsyncGenerator<ClusterStatus> {
  while (!signal.aborted) {
    yield status;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FEED_MS);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
  }
}

function elsewhereOf(requests: readonly RequestRow[]): WorkElsewhere {
  return {
    attend: () => {},
    report: () => Promise.resolve([]),
    cancelRequest: () => Promise.resolve(0),
    listRequests: () => Promise.resolve(requests),
    cancelResponse: () => Promise.resolve(false),
    async *followResponse() {},
  };
}

/** A member that is well and does nothing. */
export function memberOf(index: number, differing: Partial<MemberStatus> = {}): MemberStatus {
  return {
    nodeId: (index + 1).toString(16).padStart(16, "0") as NodeId,
    name: `n${index + 1}`,
    address: `10.0.0.${index + 1}:11435`,
    cores: 8,
    diskFreeBytes: (120 + 10 * index) * GIB,
    health: "alive",
    role: "voter",
    drained: false,
    yields: false,
    version: "1.2.3",
    matchIndex: 17,
    devices: [],
    load: idleLoad(),
    ...differing,
  };
}

/** Of a node that has room. */
export function idleLoad(
  differing: Partial<NonNullable<MemberStatus["load"]>> = {},
): NonNullable<MemberStatus["load"]> {
  return {
    runningRequests: 0,
    waitingRequests: 0,
    slots: 4,
    tokensPerSecond: 21.5,
    availableBytes: 11 * GIB,
    loadedModels: [],
    splitModels: [],
    ...differing,
  };
}

/** A cluster of these, the first of which is asked. */
export function statusOf(members: readonly MemberStatus[]): ClusterStatus {
  const [first] = members;
  if (first === undefined) throw new RangeError("A cluster has a member: got none");
  return {
    clusterId: "00000000000000cc",
    nodeId: first.nodeId,
    name: first.name,
    version: first.version,
    health: members.every(({ health }) => health === "alive") ? "healthy" : "degraded",
    leader: first.nodeId,
    changes: { possible: true },
    term: 3,
    committedIndex: 17,
    appliedIndex: 17,
    stateHash: "ab".repeat(32),
    members,
    warnings: [],
  };
}
