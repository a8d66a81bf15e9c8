/**
 * A process that serves the page of a node with many members, each of which tells something else every second: the shipped
 * view of operators, its feed, and the HTTP API. The other nodes' words are made here. Prints where it is.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { PAGE_FOLDER } from "../../scripts/packaging/page.ts";
import type { NodeId } from "../../src/base/mod.ts";
import { listenTo, originOf } from "./served_app.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import { Admin, type SeenMember } from "../../src/operators/admin.ts";
import { Credentials } from "../../src/operators/credentials.ts";
import type { RequestRow } from "../../src/ports/mod.ts";
import { pageFilesIn } from "../../src/storage/mod.ts";
import { appUnderTest } from "./http_app.ts";
import { PromptGroup } from "./prompt_group.ts";

export const LARGE = { members: 60, requests: 200 };
const CHANGE_MS = 1_000;
const GIB = 2 ** 30;

const idOf = (index: number) => (0xaa + index).toString(16).padStart(16, "0") as NodeId;

function seenAt(index: number): SeenMember {
  const second = Math.floor(Date.now() / CHANGE_MS);
  return {
    standing: "alive",
    address: `10.0.0.${index + 1}:11435`,
    api: `http://10.0.0.${index + 1}:11434`,
    cores: 16,
    diskFreeBytes: 512 * GIB - second * index,
    version: "1.2.3",
    load: {
      runningRequests: 2 + (index + second) % 3,
      waitingRequests: (index + second) % 7 === 0 ? 1 : 0,
      slots: 8,
      tokensPerSecond: 20 + (index + second) % 5,
      availableBytes: 11 * GIB - second * index,
      loadedModels: ["tiny:latest", `model-${index % 6}:latest`],
      splitModels: [],
    },
  };
}

function requestRows(): readonly RequestRow[] {
  const nowMs = Date.now();
  return Array.from({ length: LARGE.requests }, (_, index) => ({
    id: `request-${index}`,
    atMs: nowMs - 1_000 * index,
    path: "/api/chat",
    model: `model-${index % 6}:latest`,
    state: "running",
    entry: `n${index % LARGE.members}`,
    // Now and then one goes on elsewhere.
    node: `n${(index * 7 + Math.floor(nowMs / 20_000)) % LARGE.members}`,
    moves: 0,
    promptTokens: 31,
    firstTokenMs: 140,
    durationMs: 1_000 * index,
  }));
}

async function openAdmin(): Promise<Admin> {
  const group = new PromptGroup();
  for (let index = 0; index < LARGE.members; index++) {
    await group.propose({
      kind: "admit_member",
      nodeId: idOf(index),
      publicKey: new Uint8Array(40).fill(index),
      label: `n${index}`,
      tokenId: undefined,
      atMs: 1,
    });
  }
  const none = () => Promise.reject(new Error("Nothing of the kind is asked here"));
  const [self = idOf(0)] = group.voters;
  return new Admin({
    self: { nodeId: self, clusterId: "c".repeat(16), name: "n0", version: "1.2.3" },
    group,
    changes: () => ({ kind: "possible" }),
    seen: (nodeId) => seenAt(parseInt(nodeId, 16) - 0xaa),
    clock: systemClock,
    credentials: new Credentials({
      group,
      clock: systemClock,
      drawBytes: (count) => new Uint8Array(count),
      tokenVerifier: none,
      hashSecret: none,
      authority: none,
      encodeToken: () => "",
      encodeKey: () => "",
    }),
    tenants: () => [],
    modelsHereAlone: () => [],
    webTransport: () => ({ port: 1, path: "/", certificateHash: "" }),
    depart: none,
    recover: none,
    warnings: () => [],
    connections: () => [],
    roundTrips: () => Promise.resolve(new Map()),
    wake: none,
    logs: async function* () {},
    placement: () => [],
    backendFile: none,
    saveIncident: none,
  });
}

if (import.meta.main) {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const tested = appUnderTest({
    admin: await openAdmin(),
    page: pageFilesIn(`${root}${PAGE_FOLDER}`),
    clock: systemClock,
    elsewhere: {
      attend: () => {},
      report: () => Promise.resolve([]),
      cancelRequest: () => Promise.resolve(0),
      listRequests: () => Promise.resolve(requestRows()),
      cancelResponse: () => Promise.resolve(false),
      async *followResponse() {},
    },
  });
  console.log(originOf(await listenTo(tested)));
}
