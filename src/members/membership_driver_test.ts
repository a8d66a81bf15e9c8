import assert from "node:assert/strict";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { type Incarnation, InvariantError, type NodeId, Random } from "../base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../core/membership/mod.ts";
import { decodeDatagram, type MembershipDatagram } from "../protocol/mod.ts";
import { encodeDatagram } from "../../tests/harness/datagrams.ts";
import { SimulatedMembers } from "../../tests/harness/simulated_members.ts";
import { VirtualSchedule } from "../../tests/harness/simulated_schedule.ts";
import {
  type MembershipDriver,
  type MembershipFailure,
  type MembershipParts,
  openMembership,
} from "./membership_driver.ts";

async function formed(count: number): Promise<SimulatedMembers> {
  const cluster = new SimulatedMembers(count);
  for (let index = 1; index < count; index++) cluster.join(index, 0);
  await cluster.until(5_000, () => isWhole(cluster));
  return cluster;
}

function isWhole(cluster: SimulatedMembers): boolean {
  return cluster.members.every((_, observer) =>
    cluster.members.every((_, subject) =>
      observer === subject || cluster.standing(observer, subject) === "alive"
    )
  );
}

Deno.test("Three nodes find each other through one", async () => {
  let saves = 0;
  const save = () => Promise.resolve(void saves++);
  using cluster = disposable(new SimulatedMembers(3, { save }));
  cluster.join(1, 0);
  cluster.join(2, 0);
  const tookMs = await cluster.until(1_000, () => isWhole(cluster));
  assert.ok(tookMs <= 300, `${tookMs} ms`);
  // The first stamp was durable before.
  assert.equal(saves, 0);
});

Deno.test("A node that dies is suspected within a second and then down", async () => {
  using cluster = disposable(await formed(3));
  cluster.crash(2);
  const suspectedMs = await cluster.until(3_000, () => cluster.standing(0, 2) === "suspect");
  assert.ok(suspectedMs <= 1_000, `suspected after ${suspectedMs} ms`);
  const downMs = await cluster.until(
    10_000,
    () => cluster.standing(0, 2) === "down" && cluster.standing(1, 2) === "down",
  );
  assert.ok(suspectedMs + downMs <= 7_000, `down after ${suspectedMs + downMs} ms`);
  assert.equal(cluster.standing(0, 1), "alive");
});

Deno.test("A farewell is heard at once, and leaving ends by itself", async () => {
  using cluster = disposable(await formed(3));
  let hasLeft = false;
  const leaving = cluster.get(2).driver.leave().then(() => hasLeft = true);
  const heardMs = await cluster.until(
    1_000,
    () => cluster.standing(0, 2) === "left" && cluster.standing(1, 2) === "left",
  );
  assert.ok(heardMs <= 50, `${heardMs} ms`);
  await cluster.advance(500);
  assert.equal(hasLeft, true);
  await leaving;
});

Deno.test("Values spread, short ones and those too long for a datagram, and listeners hear of them", async () => {
  using cluster = disposable(await formed(3));
  const { nodeId, driver } = cluster.get(0);
  const heard: string[] = [];
  cluster.get(2).driver.onValuesChanged((change) => {
    assert.equal(change.nodeId, nodeId);
    heard.push(...change.keys);
  });
  driver.publish("load", Uint8Array.of(1, 2));
  driver.publish("inventory.0", new Uint8Array(8_000).fill(7));
  const values = () => cluster.get(2).driver.values(nodeId);
  await cluster.until(3_000, () => values().size === 2);
  assert.deepEqual(values().get("load"), Uint8Array.of(1, 2));
  assert.equal(values().get("inventory.0")?.length, 8_000);
  assert.deepEqual([...new Set(heard)].sort(), ["inventory.0", "load"]);
  driver.publish("load", undefined);
  await cluster.until(3_000, () => !values().has("load"));
});

Deno.test("A value that is what it was is not told again", async () => {
  using cluster = disposable(await formed(2));
  const { driver, nodeId } = cluster.get(0);
  driver.publish("load", Uint8Array.of(1));
  await cluster.advance(2_000);
  let changes = 0;
  cluster.get(1).driver.onValuesChanged(() => changes++);
  driver.publish("load", Uint8Array.of(1));
  await cluster.advance(2_000);
  assert.equal(changes, 0);
  assert.deepEqual(cluster.get(1).driver.values(nodeId).get("load"), Uint8Array.of(1));
});

Deno.test("A node that starts again is a new life with a higher boot epoch, without a false death", async () => {
  using cluster = disposable(await formed(3));
  const { nodeId } = cluster.get(1);
  cluster.crash(1);
  await cluster.until(20_000, () => cluster.standing(0, 1) === "down");
  cluster.restart(1);
  cluster.join(1, 0);
  await cluster.until(2_000, () => isWhole(cluster));
  assert.equal(cluster.get(0).driver.find(nodeId)?.bootEpoch, 2);
  const worse: string[] = [];
  cluster.get(2).driver.onMemberChanged(({ member }) => worse.push(member?.standing ?? "gone"));
  await cluster.advance(10_000);
  assert.deepEqual(worse, []);
});

Deno.test("An expelled node is forgotten and not heard until it is admitted again", async () => {
  using cluster = disposable(await formed(3));
  const { nodeId } = cluster.get(2);
  for (const index of [0, 1]) cluster.get(index).driver.expel(nodeId);
  await cluster.advance(5_000);
  assert.equal(cluster.standing(0, 2), undefined);
  for (const index of [0, 1]) cluster.get(index).driver.admit(nodeId);
  cluster.join(2, 0);
  await cluster.until(15_000, () => cluster.standing(0, 2) === "alive");
});

Deno.test("A partition that heals leaves everyone alive", async () => {
  using cluster = disposable(await formed(5));
  const ids = cluster.members.map(({ nodeId }) => nodeId);
  cluster.network.partition(ids.slice(0, 2), ids.slice(2));
  await cluster.until(30_000, () => cluster.standing(0, 4) === "down");
  assert.equal(cluster.standing(0, 1), "alive");
  cluster.network.heal();
  await cluster.until(30_000, () => isWhole(cluster));
});

Deno.test("What is said with a new stamp waits until the stamp is durable", async () => {
  using cluster = disposable(await formed(2));
  const member = cluster.get(0);
  const saving = Promise.withResolvers<void>();
  const asked: number[] = [];
  member.save = (identity) => {
    asked.push(identity.incarnation);
    return saving.promise;
  };
  const other = cluster.get(1).driver;
  const before = other.find(member.nodeId)?.incarnation ?? 0;
  doubt(member.driver, { of: member.nodeId, by: cluster.get(1).nodeId, bootEpoch: 1 });
  await cluster.advance(100);
  assert.deepEqual(asked, [before + 1]);
  assert.equal(other.find(member.nodeId)?.incarnation, before);
  saving.resolve();
  await cluster.advance(200);
  assert.equal(other.find(member.nodeId)?.incarnation, before + 1);
  assert.equal(member.identity.incarnation, before + 1);
  assert.deepEqual(asked, [before + 1], "an unchanged stamp was saved again");
});

Deno.test("A node whose stamp can't be saved says nothing more and tells its owner", async () => {
  using cluster = disposable(await formed(2));
  const member = cluster.get(0);
  member.save = () => Promise.reject(new Error("disk full"));
  doubt(member.driver, { of: member.nodeId, by: cluster.get(1).nodeId, bootEpoch: 1 });
  await cluster.advance(100);
  assert.deepEqual(member.failures.map(({ kind }) => kind), ["identity_unsaved"]);
  await cluster.until(20_000, () => cluster.standing(1, 0) === "down");
});

Deno.test("A second process under one identity makes the node stop, once two members say so", async () => {
  using cluster = disposable(await formed(3));
  const member = cluster.get(0);
  for (let bootEpoch = 5; bootEpoch < 50 && member.failures.length === 0; bootEpoch += 5) {
    for (const by of [1, 2]) {
      doubt(member.driver, { of: member.nodeId, by: cluster.get(by).nodeId, bootEpoch });
    }
    await cluster.advance(50);
  }
  assert.deepEqual(member.failures.map(({ kind }) => kind), ["identity_conflicted"]);
});

for (const count of [2, 3]) {
  Deno.test(`One member of ${count} that tells of later boots stops no node, and is named`, async () => {
    using cluster = disposable(await formed(count));
    const member = cluster.get(0);
    const { nodeId: liar } = cluster.get(1);
    for (let bootEpoch = 5; bootEpoch < 1_000; bootEpoch += 5) {
      doubt(member.driver, { of: member.nodeId, by: liar, bootEpoch });
      await cluster.advance(5);
    }
    doubt(member.driver, { of: member.nodeId, by: liar, bootEpoch: Number.MAX_SAFE_INTEGER });
    await cluster.advance(50);
    assert.deepEqual(member.failures, []);
    // A node that has one other only may believe it, a few times.
    assert.ok(member.driver.view().self.bootEpoch < (count === 2 ? 50 : 2));
    assert.ok((member.counts.get(`odist_membership_lies_total ${liar}`) ?? 0) > 0);
    assert.equal(cluster.standing(1, 0), "alive");
  });
}

Deno.test("Messages that wait for the disk are bounded, and orders of the owner are kept", async () => {
  using cluster = disposable(await formed(2));
  const member = cluster.get(0);
  const saving = Promise.withResolvers<void>();
  member.save = () => saving.promise;
  const by = cluster.get(1).nodeId;
  doubt(member.driver, { of: member.nodeId, by, bootEpoch: 1 });
  for (let count = 0; count < 5_000; count++) member.driver.receiveDatagram(by, PING);
  member.driver.publish("load", Uint8Array.of(9));
  assert.equal(member.counts.get("odist_membership_refused_total queue_full"), 5_000 - 2_048);
  saving.resolve();
  await cluster.until(
    2_000,
    () => cluster.get(1).driver.values(member.nodeId).get("load")?.[0] === 9,
  );
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

/** Tells a node that someone suspects it, under a boot epoch. */
function doubt(
  driver: MembershipDriver,
  said: { readonly of: NodeId; readonly by: NodeId; readonly bootEpoch: number },
): void {
  const incarnation = driver.view().self.incarnation;
  const stamp = { bootEpoch: said.bootEpoch, incarnation };
  const claim = { nodeId: said.of, standing: "suspect", ...stamp, accuser: said.by } as const;
  const claims = [{ ...claim, address: "" }];
  driver.receiveDatagram(said.by, encodeGossip({ ...NOTHING, claims }));
}

function disposable(cluster: SimulatedMembers): SimulatedMembers & Disposable {
  return Object.assign(cluster, { [Symbol.dispose]: () => cluster.close() });
}
