import assert from "node:assert/strict";
import { settle } from "../../tests/harness/hand_clock.ts";
import type { NodeId } from "../base/mod.ts";
import type { Metrics } from "../ports/mod.ts";
import {
  lookBeforeRender,
  type NodeGaugesParts,
  roomGauges,
  setNodeGauges,
} from "./node_gauges.ts";

const idOf = (digit: string) => digit.repeat(16) as NodeId;
const SELF = idOf("1");

/** Metrics that remember each gauge's last value as `name` or `name label`. */
function gaugeBook() {
  const gauges = new Map<string, number>();
  const metrics: Metrics = {
    increment() {},
    observe() {},
    set: (name, value, labels = {}) =>
      void gauges.set([name, ...Object.values(labels)].join(" "), value),
    render: () => Promise.resolve({ contentType: "text/plain", text: String(gauges.size) }),
  };
  return { gauges, metrics };
}

interface Scene {
  readonly standings?: Readonly<Record<string, string>>;
  readonly voters?: string;
  readonly fenced?: boolean;
  readonly leader?: string;
  /** Per model, ids of the members that hold it. */
  readonly holders?: readonly string[];
  readonly asleep?: string;
  readonly wakeable?: string;
}

/** A node `1` that waits for one request, holds two slots, one of them busy, and sees what the scene says. */
function scene(it: Scene): NodeGaugesParts {
  const { standings = {}, holders = [], asleep = "", wakeable = "" } = it;
  const configuration = { voters: [...it.voters ?? "123"].map(idOf), votersOutgoing: [] };
  const leader = it.leader === undefined ? undefined : idOf(it.leader);
  const models = holders.map((_, index) => ({ manifestDigest: `sha256:${index}` }));
  const members = [..."23"].map((digit) => ({
    address: { nodeId: idOf(digit), address: "" },
    standing: standings[digit] ?? "alive",
    asleep: asleep.includes(digit),
    holds: (digest: string) => holders[Number(digest.split(":")[1])]?.includes(digit),
  }));
  const held = models.filter((_, index) => holders[index]?.includes("1"));
  return {
    cluster: {
      settings: { self: { nodeId: SELF } },
      group: {
        view: () => ({ leader, committed: 9, applied: 8, configuration }),
        fenced: it.fenced ? { kind: "storage", reason: "full" } : undefined,
        catalogue: { models: () => models },
      },
      membership: { find: (id: NodeId) => ({ standing: standings[id[0] ?? ""] ?? "alive" }) },
      changes: () => ({ kind: leader === undefined ? "impossible" : "possible" }),
      views: {
        members: () => members,
        wakeMsOf: (id: NodeId) => wakeable.includes(id[0] ?? "") ? 5_000 : undefined,
      },
    },
    driver: {
      view: () => ({
        instances: [
          { state: "ready", slots: 2, running: 1 },
          { state: "loading", slots: 8, running: 0 },
        ],
      }),
      oldestWaitMs: () => 1_500,
    },
    sharing: { copies: { held: () => held.map(({ manifestDigest }) => manifestDigest) } },
    stored: { expiresAtMs: 86_400_000 },
    machine: { availableBytes: () => 7, cores: 1 },
    lookAtRoom: () => {},
  } as unknown as NodeGaugesParts; // A double: nothing else of it is read.
}

interface TestDevice {
  readonly name: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

function roomOf(
  devices: () => readonly TestDevice[],
  freeBytes: () => Promise<number | undefined> = async () => undefined,
) {
  return {
    freeBytes,
    devices: { told: devices },
    driver: { view: () => ({ instances: [] }) },
  };
}

function gaugesOf(parts: NodeGaugesParts): ReadonlyMap<string, number> {
  const { gauges, metrics } = gaugeBook();
  setNodeGauges(parts, metrics);
  return gauges;
}

Deno.test("setNodeGauges() tells slots, the queue, memory and certificates in base units", () => {
  const gauges = gaugesOf(scene({ leader: "2" }));
  assert.equal(gauges.get("odist_slots busy"), 1);
  assert.equal(gauges.get("odist_slots free"), 1);
  assert.equal(gauges.get("odist_queue_oldest_seconds"), 1.5);
  assert.equal(gauges.get("odist_memory_available_bytes"), 7);
  assert.equal(gauges.get("odist_certificate_expiry_timestamp_seconds"), 86_400);
});

Deno.test("setNodeGauges() counts voters that are up and down, itself among the fenced ones", async () => {
  const well = gaugesOf(scene({ leader: "2" }));
  assert.deepEqual([well.get("odist_raft_voters up"), well.get("odist_raft_voters down")], [3, 0]);
  assert.equal(well.get("odist_raft_leader_known"), 1);
  assert.equal(well.get("odist_raft_takes_changes"), 1);
  assert.equal(well.get("odist_raft_fenced"), 0);
  const ill = gaugesOf(scene({ fenced: true, standings: { 2: "down", 3: "suspect" } }));
  assert.deepEqual([ill.get("odist_raft_voters up"), ill.get("odist_raft_voters down")], [0, 3]);
  assert.equal(ill.get("odist_raft_leader_known"), 0);
  assert.equal(ill.get("odist_raft_takes_changes"), 0);
  assert.equal(ill.get("odist_raft_fenced"), 1);
});

Deno.test("setNodeGauges() sorts each model by its best copy", async () => {
  const standings = { 2: "down", 3: "left" };
  const copies = async (wakeable: string) => {
    const holders = ["1", "13", "3", "2", "23", ""];
    const gauges = gaugesOf(scene({ standings, holders, asleep: "3", wakeable }));
    return ["awake", "asleep", "unwakeable", "none"].map((it) => gauges.get(`odist_models ${it}`));
  };
  assert.deepEqual(await copies("3"), [2, 2, 0, 2]);
  assert.deepEqual(await copies(""), [2, 0, 2, 2]);
  const suspected = gaugesOf(scene({ standings: { 2: "suspect" }, holders: ["2"] }));
  assert.equal(suspected.get("odist_models awake"), 1);
  assert.equal(suspected.get("odist_members_asleep"), 0);
});

Deno.test("lookBeforeRender() looks each time before it shows", async () => {
  const { metrics } = gaugeBook();
  const looked = lookBeforeRender(metrics, () => metrics.set("odist_slots", 1));
  assert.equal((await looked.render()).text, "1");
});

Deno.test("roomGauges() has nobody wait for a disk that doesn't answer, and asks it nothing more meanwhile", async () => {
  const { gauges, metrics } = gaugeBook();
  const answers: PromiseWithResolvers<number | undefined>[] = [];
  const freeBytes = () => {
    const answer = Promise.withResolvers<number | undefined>();
    answers.push(answer);
    return answer.promise;
  };
  const look = roomGauges(roomOf(() => [], freeBytes), metrics);
  const looked = lookBeforeRender(metrics, look);
  assert.equal((await looked.render()).text, "0");
  assert.equal(answers.length, 1);
  answers[0]?.resolve(5);
  await settle();
  assert.equal(gauges.get("odist_disk_free_bytes"), 5);
  await looked.render();
  assert.equal(answers.length, 2);
  answers[1]?.resolve(undefined);
  await settle();
  assert.equal(gauges.get("odist_disk_free_bytes"), 5);
});

Deno.test("roomGauges() tells the memory of each device, and nothing of one that is gone", () => {
  const { gauges, metrics } = gaugeBook();
  let devices = [
    { name: "CUDA0", totalBytes: 100, freeBytes: 70 },
    { name: "CUDA1", totalBytes: 50, freeBytes: 50 },
  ];
  const look = roomGauges(roomOf(() => devices), metrics);
  const memory = () =>
    [...gauges].filter(([name]) => name.startsWith("odist_device_memory_bytes "))
      .map(([name, bytes]) => `${name.slice(26)} ${bytes}`);
  assert.deepEqual(memory(), ["CUDA0 used 30", "CUDA0 free 70", "CUDA1 used 0", "CUDA1 free 50"]);
  devices = devices.slice(1);
  look();
  assert.deepEqual(memory(), ["CUDA0 used 0", "CUDA0 free 0", "CUDA1 used 0", "CUDA1 free 50"]);
});
