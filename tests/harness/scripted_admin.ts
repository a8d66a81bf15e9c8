import { NO_LIMITS } from "../../src/core/queue/mod.ts";
import type { NodeId } from "../../src/base/mod.ts";
import type {
  ClusterAdmin,
  ClusterStatus,
  ConnectionView,
  IncidentWish,
  KeyRowView,
  RecoveryView,
  RouteExplanation,
} from "../../src/ports/mod.ts";

/** Two members, and when what they made expires. */
export const A = "00000000000000aa" as NodeId;
export const B = "00000000000000bb" as NodeId;
export const EXPIRES_MS = Date.UTC(2026, 0, 1);

/** As the admin tells it. */
const STATUS: ClusterStatus = {
  clusterId: "00000000000000cc",
  nodeId: A,
  name: "a",
  version: "1.2.3",
  health: "degraded",
  leader: A,
  changes: { possible: false, reason: "1 of 2 voters is down", sinceMs: EXPIRES_MS },
  term: 3,
  committedIndex: 17,
  appliedIndex: 16,
  stateHash: "ab".repeat(32),
  members: [
    {
      nodeId: A,
      name: "a",
      address: "10.0.0.1:11435",
      api: "http://10.0.0.1:11434",
      cores: 8,
      diskFreeBytes: 512_000,
      health: "alive",
      role: "leader",
      drained: false,
      yields: false,
      version: "1.2.3",
      matchIndex: 17,
      devices: [{
        name: "Vulkan0",
        description: "Some GPU",
        kind: "gpu",
        totalBytes: 2 ** 31,
        freeBytes: 2 ** 30,
        driver: "radv",
      }],
      load: {
        runningRequests: 1,
        waitingRequests: 2,
        slots: 4,
        tokensPerSecond: 12.5,
        availableBytes: 5_000,
        loadedModels: ["tiny:latest"],
        splitModels: [{
          name: "tiny:latest",
          shards: [{ name: "b", firstLayer: 0, layerCount: 6, memoryBytes: 7 }],
        }],
      },
    },
    {
      nodeId: B,
      name: "b",
      address: "",
      health: "pending",
      role: "none",
      drained: true,
      yields: true,
      version: "",
      matchIndex: undefined,
      devices: [],
      load: undefined,
    },
  ],
  warnings: ["mind the gap"],
};

const KEY: KeyRowView = {
  keyId: "k1",
  label: "laptop",
  createdAtMs: 0,
  expiresAtMs: EXPIRES_MS,
  scopes: ["use", "models"],
  lastUsedAtMs: EXPIRES_MS,
  limits: NO_LIMITS,
};

const RECOVERY: RecoveryView = {
  refusal: undefined,
  lastIndex: 17,
  committedIndex: 16,
  modelCount: 3,
  leftBehind: [{ nodeId: B, name: "b", isAlive: true, votes: false }],
};

const CONNECTION: ConnectionView = {
  peer: B,
  remoteAddress: "10.0.0.2:5",
  direction: "dialed",
  wire: 1,
  openStreams: 1,
  queuedFrames: 2,
  roundTripMs: 1.5,
};

/** Of the request "mine". */
export const ROUTE: RouteExplanation = {
  atMs: EXPIRES_MS,
  model: "tiny",
  promptTokens: 12,
  standing: "resumed",
  chosen: {
    nodeId: B,
    name: "b",
    rank: "sound",
    expectedMs: 63,
    wakeMs: 0,
    hopMs: 3,
    queueMs: 0,
    loadMs: 0,
    moveMs: 0,
    prefillMs: 60,
    answerMs: 9_000,
  },
  runnersUp: [],
  excluded: [{ nodeId: A, name: "a", reason: "down" }],
  split: undefined,
  wake: { position: 2, tookMs: 12_345 },
  exact: true,
  reuse: { promptTokens: 12, matchedTokens: 9, reusedTokens: 8, source: "disk", end: "differs" },
  drafts: { drafted: 14, accepted: 11 },
  outcome: "granted",
};

function scriptedLimits(
  note: (what: unknown) => Promise<void>,
): Pick<ClusterAdmin, "limitKey" | "queue"> {
  return {
    limitKey: async (keyId, limits) => {
      await note({ keyId, limits });
      return { ...NO_LIMITS, ...limits };
    },
    queue: () => [{ tenant: "key k1", weight: 2, waiting: 3, running: 1 }],
  };
}

async function saveIncident({ lastMs, withTexts }: IncidentWish): Promise<Uint8Array> {
  return Uint8Array.of(lastMs / 1_000, withTexts ? 1 : 0);
}

type Note = (verb: string) => (what?: unknown) => Promise<void>;

function scriptedMembers(
  note: Note,
): Pick<ClusterAdmin, "drain" | "undrain" | "pin" | "unpin" | "sleep" | "wake"> {
  return {
    drain: note("drain"),
    undrain: note("undrain"),
    pin: (node, model) => note("pin")({ node, model }),
    unpin: (node, model) => note("unpin")({ node, model }),
    sleep: note("sleep"),
    wake: async (node) => {
      await note("wake")(node);
      return { tookMs: 12_345 };
    },
  };
}

/** An admin that grants every wish, and everything that it was asked, as `verb what`. */
export function scriptedAdmin(script: Partial<ClusterAdmin> = {}): {
  readonly admin: ClusterAdmin;
  readonly asked: string[];
} {
  const asked: string[] = [];
  const note = (verb: string) => async (what?: unknown) => {
    asked.push(what === undefined ? verb : `${verb} ${JSON.stringify(what)}`);
  };
  const admin: ClusterAdmin = {
    status: async () => STATUS,
    createToken: async (wanted) => {
      await note("token")(wanted);
      return { token: "secret", tokenId: "t1", expiresAtMs: EXPIRES_MS, usesLeft: wanted.uses };
    },
    listTokens: async () => [{ tokenId: "t1", expiresAtMs: EXPIRES_MS, usesLeft: 1 }],
    revokeToken: note("revoke_token"),
    createKey: async (wanted) => {
      await note("key")(wanted);
      const { label, scopes, limits = NO_LIMITS } = wanted;
      const times = { createdAtMs: 0, expiresAtMs: 0, lastUsedAtMs: 0 };
      return { key: "secret", keyId: "k1", label, scopes, limits, ...times };
    },
    listKeys: async () => [KEY],
    revokeKey: note("revoke_key"),
    ...scriptedLimits(note("limit_key")),
    audit: async (limit) => {
      await note("audit")(limit);
      return [{
        index: 7,
        atMs: 0,
        who: "key k1",
        from: "10.0.0.1",
        action: "put_setting",
        subject: "k",
      }];
    },
    async *watch() {
      yield STATUS;
    },
    webTransport: () => ({ port: 11435, path: "/odist/1", certificateHash: "ab" }),
    ...scriptedMembers(note),
    leave: async (options) => {
      await note("leave")(options);
      return {};
    },
    recovery: () => RECOVERY,
    recover: () => note("recover")().then(() => RECOVERY),
    ...{ removeMember: note("remove"), revokeMember: note("revoke") },
    listSettings: async () => [{ key: "k", value: "v" }],
    putSetting: note("put"),
    deleteSetting: note("delete"),
    saveSnapshot: async () => Uint8Array.of(1, 2, 3),
    saveIncident,
    backendFile,
    connections: async () => [CONNECTION],
    placement: () => [{
      name: "tiny:latest",
      digest: "ab".repeat(32),
      nodes: ["ada", "bob"],
      pins: ["bob"],
    }],
    explain: (requestId) => requestId === "mine" ? [ROUTE] : [],
    served: () => [],
    logs,
    ...script,
  };
  return { admin, asked };
}

async function* logs({ lines, follow }: { readonly lines: number; readonly follow: boolean }) {
  yield { event: "node_started", lines, follow };
}

async function backendFile(packageName: string, file: string) {
  if (packageName === "p" && file === "a.so") return new Blob(["library"]).stream();
}
