import assert from "node:assert/strict";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { type Incarnation, InvariantError, type NodeId, Random } from "../base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../core/membership/mod.ts";
import { decodeDatagram, type MembershipDatagram } from "../protocol/mod.ts";
import { encodeDatagram } from "../../tests/harness/datagrams.ts";
import { NodeWorld } from "../../tests/harness/node_world.ts";
import { VirtualSchedule } from "../../tests/harness/simulated_schedule.ts";
import {
  type MembershipDriver,
  type MembershipFailure,
  type MembershipParts,
  openMembership,
} from "./membership_driver.ts";

async function formed(count: number): Promise<NodeWorld> {
  const world = await NodeWorld.start(count);
  await world.until("all see all", () => isWhole(world), 5_000);
  return world;
}

function isWhole(world: NodeWorld): boolean {
  return world.running.every((observer) =>
    world.running.every((subject) =>
      observer === subject || world.standing(observer, subject) === "alive"
    )
  );
}

/** The life that a node's disk holds, and those that are being saved from here on, which go through `save`. */
function watchSaves(
  world: NodeWorld,
  number: number,
  save: () => Promise<void> = () => Promise.resolve(),
): { readonly asked: number[]; readonly saved: () => Promise<number> } {
  const { secrets } = world.machine(number);
  const incarnationOf = (bytes: Uint8Array = new Uint8Array(0)) =>
    Number(JSON.parse(new TextDecoder().decode(bytes)).incarnation);
  const write = secrets.write.bind(secrets);
  const asked: number[] = [];
  secrets.write = async (name, bytes) => {
    if (name === "identity.json") {
      asked.push(incarnationOf(bytes));
      await save();
    }
    await write(name, bytes);
  };
  return { asked, saved: async () => incarnationOf(await secrets.read("identity.json")) };
}

Deno.test("A third node finds two others, and they it, through one", async () => {
  await using world = await formed(2);
  await world.prepare(3);
  const { asked } = watchSaves(world, 3);
  const { clock } = world.network;
  const startedMs = clock.monotonicMs();
  await world.join(3);
  await world.until("all see all", () => isWhole(world), 1_000);
  const tookMs = clock.monotonicMs() - startedMs;
  assert.ok(tookMs <= 300, `${tookMs} ms`);
  // As a member, and as a new life, and both before it spoke: the first stamp is not saved again.
  await world.advance(1_000);
  assert.deepEqual(asked, [0, 0]);
});

Deno.test("A node that dies is suspected within a second and then down", async () => {
  await using world = await formed(3);
  world.crash(3);
  const suspectedMs = await world.until(
    "suspected",
    () => world.standing(1, 3) === "suspect",
    3_000,
  );
  assert.ok(suspectedMs <= 1_000, `suspected after ${suspectedMs} ms`);
  const isDown = () => world.running.every((number) => world.standing(number, 3) === "down");
  const downMs = await world.until("down", isDown, 10_000);
  assert.ok(suspectedMs + downMs <= 7_000, `down after ${suspectedMs + downMs} ms`);
  assert.equal(world.standing(1, 2), "alive");
});

Deno.test("A farewell is heard at once, and leaving ends by itself", async () => {
  await using world = await formed(3);
  let hasLeft = false;
  const leaving = world.membership(3).leave().then(() => hasLeft = true);
  const hasGone = () => [1, 2].every((number) => world.standing(number, 3) === "left");
  const heardMs = await world.until("it has left", hasGone, 1_000);
  assert.ok(heardMs <= 50, `${heardMs} ms`);
  await world.advance(500);
  assert.equal(hasLeft, true);
  await leaving;
});

Deno.test("Values spread, short ones and those too long for a datagram, and listeners hear of them", async () => {
  await using world = await formed(3);
  const { nodeId } = world.machine(1);
  const driver = world.membership(1);
  await world.advance(2_000);
  const heard: string[] = [];
  world.membership(3).onValuesChanged((change) => {
    assert.equal(change.nodeId, nodeId);
    heard.push(...change.keys);
  });
  driver.publish("short", Uint8Array.of(1, 2));
  driver.publish("long", new Uint8Array(8_000).fill(7));
  const values = () => world.membership(3).values(nodeId);
  await world.until("both are heard", () => values().has("short") && values().has("long"), 3_000);
  assert.deepEqual(values().get("short"), Uint8Array.of(1, 2));
  assert.equal(values().get("long")?.length, 8_000);
  assert.deepEqual([...new Set(heard)].sort(), ["long", "short"]);
  driver.publish("short", undefined);
  await world.until("it is taken back", () => !values().has("short"), 3_000);
});

Deno.test("A value that is what it was is not told again", async () => {
  await using world = await formed(2);
  const driver = world.membership(1);
  driver.publish("word", Uint8Array.of(1));
  await world.advance(2_000);
  let changes = 0;
  world.membership(2).onValuesChanged(() => changes++);
  driver.publish("word", Uint8Array.of(1));
  await world.advance(2_000);
  assert.equal(changes, 0);
  const { nodeId } = world.machine(1);
  assert.deepEqual(world.membership(2).values(nodeId).get("word"), Uint8Array.of(1));
});

Deno.test("A node that starts again is a new life with a higher boot epoch, without a false death", async () => {
  await using world = await formed(3);
  const { nodeId } = world.machine(2);
  const { bootEpoch } = world.membership(2).view().self;
  world.crash(2);
  await world.until("down", () => world.standing(1, 2) === "down", 20_000);
  await world.boot(2);
  await world.until("all see all", () => isWhole(world), 2_000);
  assert.equal(
    world.membership(1).find(nodeId)?.bootEpoch,
    world.membership(2).view().self.bootEpoch,
  );
  assert.ok(world.membership(2).view().self.bootEpoch > bootEpoch);
  const worse: string[] = [];
  world.membership(3).onMemberChanged(({ member }) => worse.push(member?.standing ?? "gone"));
  await world.advance(10_000);
  assert.deepEqual(worse, []);
});

Deno.test("An expelled node is forgotten and not heard until it is admitted again", async () => {
  await using world = await formed(3);
  const { nodeId } = world.machine(3);
  for (const number of [1, 2]) world.membership(number).expel(nodeId);
  await world.advance(5_000);
  assert.equal(world.standing(1, 3), undefined);
  for (const number of [1, 2]) world.membership(number).admit(nodeId);
  const { nodeId: known, address } = world.machine(1);
  world.membership(3).join([{ nodeId: known, address }]);
  await world.until("it is heard", () => world.standing(1, 3) === "alive", 15_000);
});

Deno.test("A partition that heals leaves everyone alive", async () => {
  await using world = await formed(5);
  world.isolate(1, 2);
  await world.until("down", () => world.standing(1, 5) === "down", 30_000);
  assert.equal(world.standing(1, 2), "alive");
  world.network.heal();
  await world.until("all see all", () => isWhole(world), 30_000);
});

Deno.test("What is said with a new stamp waits until the stamp is durable", async () => {
  await using world = await formed(2);
  const { nodeId } = world.machine(1);
  const saving = Promise.withResolvers<void>();
  const { asked, saved } = watchSaves(world, 1, () => saving.promise);
  const told = () => world.membership(2).find(nodeId)?.incarnation ?? 0;
  const before = told();
  doubt(world.membership(1), { of: nodeId, by: world.machine(2).nodeId });
  await world.advance(100);
  assert.deepEqual(asked, [before + 1]);
  assert.equal(told(), before);
  saving.resolve();
  await world.advance(200);
  assert.equal(told(), before + 1);
  assert.equal(await saved(), before + 1);
  assert.deepEqual(asked, [before + 1], "an unchanged stamp was saved again");
});

Deno.test("A node whose stamp can't be saved says nothing more and tells its owner", async () => {
  await using world = await formed(2);
  const { nodeId } = world.machine(1);
  watchSaves(world, 1, () => Promise.reject(new Error("disk full")));
  doubt(world.membership(1), { of: nodeId, by: world.machine(2).nodeId });
  await world.advance(100);
  assert.match(world.ended.get(1) ?? "", /identity can't be saved: disk full/);
  await world.until("down", () => world.standing(2, 1) === "down", 20_000);
});

Deno.test("A second process under one identity makes the node stop, once two members say so", async () => {
  await using world = await formed(3);
  const { nodeId } = world.machine(1);
  const driver = world.membership(1);
  const { bootEpoch } = driver.view().self;
  for (let boots = 5; boots < 50 && !world.ended.has(1); boots += 5) {
    for (const { nodeId: by } of [world.machine(2), world.machine(3)]) {
      doubt(driver, { of: nodeId, by, bootEpoch: bootEpoch + boots });
    }
    await world.advance(50);
  }
  assert.match(world.ended.get(1) ?? "", /another process runs under this node's identity/);
});

for (const count of [2, 3]) {
  Deno.test(`One member of ${count} that tells of later boots stops no node, and is named`, async () => {
    await using world = await formed(count);
    const [{ nodeId, telemetry }, { nodeId: liar }] = [world.machine(1), world.machine(2)];
    const driver = world.membership(1);
    const { bootEpoch } = driver.view().self;
    for (let boots = 5; boots < 1_000; boots += 5) {
      doubt(driver, { of: nodeId, by: liar, bootEpoch: bootEpoch + boots });
      await world.advance(5);
    }
    doubt(driver, { of: nodeId, by: liar, bootEpoch: Number.MAX_SAFE_INTEGER });
    await world.advance(50);
    assert.equal(world.ended.get(1), undefined);
    // A node that has one other only may believe it, a few times.
    assert.ok(driver.view().self.bootEpoch - bootEpoch < (count === 2 ? 49 : 1));
    const lies = telemetry.samples.filter(({ name }) => name === "odist_membership_lies_total");
    assert.ok(lies.length > 0 && lies.every(({ labels }) => labels.peer === liar));
    assert.equal(world.standing(2, 1), "alive");
  });
}

Deno.test("Messages that wait for the disk are bounded, and orders of the owner are kept", async () => {
  await using world = await formed(2);
  const { nodeId, telemetry } = world.machine(1);
  const driver = world.membership(1);
  const saving = Promise.withResolvers<void>();
  watchSaves(world, 1, () => saving.promise);
  const by = world.machine(2).nodeId;
  doubt(driver, { of: nodeId, by });
  for (let count = 0; count < 5_000; count++) driver.receiveDatagram(by, PING);
  driver.publish("word", Uint8Array.of(9));
  const refused = telemetry.samples.filter(({ name, labels }) =>
    name === "odist_membership_refused_total" && labels.reason === "queue_full"
  );
  assert.equal(refused.length, 5_000 - 2_048);
  saving.resolve();
  const heard = () => world.membership(2).values(nodeId).get("word")?.[0];
  await world.until("the order is heard", () => heard() === 9, 2_000);
});

/** A wall that time passes at while nothing runs, as in a process that gets no CPU. */
class StallingClock {
  readonly schedule = new VirtualSchedule();
  #stalledMs = 0;
  readonly #late: (() => void)[] = [];
  #frozen = false;

  monotonicMs(): number {
    return this.schedule.clock.monotonicMs() + this.#stalledMs;
  }

  nowMs(): number {
    return this.monotonicMs();
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    return this.schedule.after(delayMs, () => {
      if (this.#frozen) this.#late.push(callback);
      else callback();
    });
  }

  /** Timers come due but are not called; then all of them at once, before anything else. */
  async stall(spanMs: number): Promise<void> {
    this.#frozen = true;
    await this.schedule.advance(spanMs);
    this.#frozen = false;
    for (const callback of this.#late.splice(0)) callback();
  }
}

Deno.test("An ack that came during a stall counts, although the timers are called first", async () => {
  const { probeDeadlineMs } = MEMBERSHIP_PRESETS.lan;
  for (const stallMs of [20, 400]) {
    // So that the deadline falls anywhere into the stall.
    for (let sinceMs = probeDeadlineMs - 17; sinceMs < probeDeadlineMs; sinceMs++) {
      const clock = new StallingClock();
      const pinged: number[] = [];
      const standings: string[] = [];
      const [self, peer] = ["11".repeat(8) as NodeId, "22".repeat(8) as NodeId];
      const driver = openLone(clock, self, (sequence) => pinged.push(sequence));
      driver.onMemberChanged(({ member }) => standings.push(member?.standing ?? "forgotten"));
      driver.receiveDatagram(peer, encodeAlive(peer));
      while (pinged.length === 0) await clock.schedule.advance(1);
      await clock.schedule.advance(sinceMs);
      await clock.stall(stallMs);
      // The way from the kernel to here takes a moment, and what came first is handed in first.
      await clock.schedule.advance(2);
      driver.receiveDatagram(peer, PING);
      for (const sequence of pinged) driver.receiveDatagram(peer, encodeAck(sequence));
      await clock.schedule.advance(probeDeadlineMs - 20);
      assert.deepEqual(standings, ["alive"], `stall of ${stallMs} ms after ${sinceMs} ms`);
      driver.close();
    }
  }
});

/** Breaks on demand, wherever a draw is next needed. */
class PlantedBug extends Random {
  isArmed = false;

  override fork(): Random {
    return this;
  }

  override below(limit: number): number {
    if (this.isArmed) throw new InvariantError("Planted", { limit });
    return super.below(limit);
  }
}

Deno.test("A bug ends membership: the node says so to its owner and the log, and nothing more to anybody", async () => {
  const clock = new StallingClock();
  const bug = new PlantedBug(1);
  const failures: MembershipFailure[] = [];
  const telemetry = new RecordingTelemetry();
  const [self, peer] = ["11".repeat(8) as NodeId, "22".repeat(8) as NodeId];
  const pinged: number[] = [];
  const driver = openLone(clock, self, (sequence) => pinged.push(sequence), {
    random: bug,
    log: telemetry,
    onFailed: (failure) => failures.push(failure),
  });
  bug.isArmed = true;
  driver.receiveDatagram(peer, encodeAlive(peer));
  assert.deepEqual(failures.map(({ kind }) => kind), ["invariant_broken"]);
  const told = telemetry.lines.find(({ event }) => event === "part_broken");
  assert.match(`${told?.level} ${told?.values.part} ${told?.values.reason}`, /error membership Pl/);
  bug.isArmed = false;
  driver.receiveDatagram(peer, encodeAlive(peer));
  await clock.schedule.advance(10_000);
  assert.deepEqual(pinged, []);
  assert.equal(failures.length, 1);
});

/** A driver whose network does nothing but call back for each ping. */
function openLone(
  clock: StallingClock,
  nodeId: NodeId,
  onPing: (sequence: number) => void,
  parts: Partial<MembershipParts> = {},
): MembershipDriver {
  return openMembership({
    nodeId,
    address: "10.0.0.1:1",
    bootEpoch: 1,
    incarnation: 0 as Incarnation,
    timing: MEMBERSHIP_PRESETS.lan,
    clock,
    random: new Random(1),
    log: { log: () => {} },
    metrics: {
      increment: () => {},
      set: () => {},
      observe: () => {},
      render: () => Promise.reject(new Error("unused")),
    },
    saveIdentity: () => Promise.resolve(),
    onFailed: () => {},
    transport: {
      sendFrame: () => {},
      sendDatagram: (_to, bytes) => {
        const decoded = decodeDatagram(bytes);
        if (decoded.kind !== "decoded" || decoded.value.body.kind !== "ping") return;
        onPing(decoded.value.body.sequence);
      },
    },
    ...parts,
  });
}

const SOURCE = { bootEpoch: 1, incarnation: 0 as Incarnation };
const NOTHING = { accusation: undefined, claims: [], values: [] };
const PING = encodeDatagram({
  source: SOURCE,
  body: { kind: "ping", sequence: 1 },
  piggyback: NOTHING,
});

function encodeAck(sequence: number): Uint8Array {
  return encodeDatagram({ source: SOURCE, body: { kind: "ack", sequence }, piggyback: NOTHING });
}

function encodeAlive(nodeId: NodeId): Uint8Array {
  const address = "10.0.0.2:1";
  const claim = { nodeId, standing: "alive", ...SOURCE, address, accuser: undefined } as const;
  return encodeGossip({ ...NOTHING, claims: [claim] });
}

function encodeGossip(piggyback: MembershipDatagram["piggyback"]): Uint8Array {
  return encodeDatagram({ source: SOURCE, body: { kind: "gossip" }, piggyback });
}

/** Tells a node that someone suspects it, under a boot epoch; default its own. */
function doubt(
  driver: MembershipDriver,
  said: { readonly of: NodeId; readonly by: NodeId; readonly bootEpoch?: number },
): void {
  const { bootEpoch, incarnation } = driver.view().self;
  const stamp = { bootEpoch: said.bootEpoch ?? bootEpoch, incarnation };
  const claim = { nodeId: said.of, standing: "suspect", ...stamp, accuser: said.by } as const;
  const claims = [{ ...claim, address: "" }];
  driver.receiveDatagram(said.by, encodeGossip({ ...NOTHING, claims }));
}
