import assert from "node:assert/strict";
import { NodeWorld, type NodeWorldOptions, putSetting } from "../../tests/harness/node_world.ts";
import { InvariantError, type NodeId, StorageError, UnavailableError } from "../base/mod.ts";
import type { GroupChange, GroupStep } from "../protocol/mod.ts";

/** Wire numbers of messages, the second byte of their frames. */
const APPEND_REQUEST = 0;
const READ_INDEX_REQUEST = 10;
const READ_INDEX_RESPONSE = 11;

function change(...steps: GroupStep[]): GroupChange {
  return { transition: "auto", steps, context: new Uint8Array(), form: "batch" };
}

function failsWith(code: string, text: RegExp = /./) {
  return (error: unknown) =>
    error instanceof UnavailableError && error.code === code && text.test(error.message);
}

async function withGroup(
  count: number,
  run: (world: NodeWorld) => Promise<void>,
  options: NodeWorldOptions = {},
): Promise<void> {
  await using world = await NodeWorld.start(count, options);
  await run(world);
}

Deno.test("A lone founder leads at once and applies what it is told", async () => {
  await using world = new NodeWorld();
  await world.boot(1);
  // Well before the election timeout, which is at least 500 ms.
  await world.until("it leads", () => world.group(1).view().role === "leader", 300);
  assert.ok(world.network.clock.monotonicMs() < 400);
  await world.propose(putSetting("a", "1"), 1);
  assert.equal(await world.read(1, "a"), "1");
});

Deno.test("Three nodes elect a leader, and whoever proposes, all apply it", () =>
  withGroup(3, async (world) => {
    await world.elected();
    for (const number of world.numbers) {
      await world.propose(putSetting(`n${number}`, "x", 0), number);
    }
    await world.converged();
    for (const number of world.numbers) {
      const keys = world.group(number).catalogue.settings().map(({ key }) => key);
      for (const at of world.numbers) assert.ok(keys.includes(`n${at}`), `${at} at ${number}`);
    }
  }));

Deno.test("A group at rest wakes up for heartbeats alone, and finds a dead leader as soon as ever", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    await world.advance(3_000);
    const before = world.numbers.map((number) => world.machine(number).wakeUps);
    await world.advance(10_000);
    for (const [index, number] of world.numbers.entries()) {
      // Besides heartbeats there is all else that a node does, and that is little.
      const limit = number === leader ? 10_000 / 250 + 30 : 20;
      const wakeUps = world.machine(number).wakeUps - (before[index] ?? 0);
      assert.ok(wakeUps <= limit, `node ${number} (leader: ${leader}): ${wakeUps}`);
    }
    const others = world.numbers.filter((number) => number !== leader);
    world.crash(leader);
    await world.until(
      "another leads",
      () => others.some((number) => world.group(number).view().role === "leader"),
      1_100,
    );
  }));

Deno.test("A node that stood still hears its leader before it campaigns", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const follower = world.numbers.find((number) => number !== leader);
    assert.ok(follower !== undefined);
    await world.advance(1_000);
    const { term } = world.group(follower).view();
    const roles = new Set<string>();
    const stop = world.group(follower).onChanged(() =>
      roles.add(world.group(follower).view().role)
    );
    // Around the time at which it would campaign, and far beyond.
    const pausesMs = Array.from({ length: 20 }, (_, index) => 400 + index * 40);
    for (const pauseMs of [...pausesMs, 2_000, 600_000]) {
      world.suspend(follower, "runs");
      await world.advance(pauseMs);
      world.resume(follower);
      await world.advance(1_000);
    }
    stop();
    assert.deepEqual([...roles], []);
    assert.equal(world.group(leader).view().term, term);
  }));

Deno.test("What the catalogue refuses comes back as a value", () =>
  withGroup(3, async (world) => {
    await world.elected();
    await world.propose(putSetting("a", "1"), 1);
    const refused = await world.proposed(putSetting("a", "2", 0), 2);
    assert.deepEqual(refused, { kind: "refused", reason: "already_exists" });
  }));

Deno.test("A group that restarts goes on with all that was acknowledged", () =>
  withGroup(3, async (world) => {
    await world.elected();
    for (let value = 1; value <= 30; value++) {
      await world.propose(putSetting("counter", `${value}`), 1 + value % 3);
    }
    for (const number of world.numbers) world.crash(number);
    for (const number of world.numbers) await world.boot(number);
    await world.elected();
    assert.equal(await world.read(2, "counter"), "30");
    await world.converged();
  }, { timing: { snapshotEntries: 10, trailingEntries: 4 } }));

Deno.test("A node whose part was closed in order finds its commit index again, without a quorum", () =>
  withGroup(3, async (world) => {
    await world.propose(putSetting("a", "1"), 1);
    await world.converged();
    const { committed } = world.group(3).view();
    await world.settle(world.group(3).close());
    for (const number of world.numbers) world.crash(number);
    await world.boot(3);
    assert.ok(world.group(3).view().committed >= committed);
  }));

Deno.test("A node that is killed and comes back without a quorum knows what it knew a moment before", () =>
  withGroup(3, async (world) => {
    await world.elected();
    await world.propose(putSetting("a", "1"), 1);
    await world.converged();
    await world.advance(2_000);
    for (const number of world.numbers) world.crash(number);
    for (const number of world.numbers) {
      await world.boot(number);
      await world.advance(100);
      const known = world.group(number).catalogue.findSetting("a");
      assert.equal(known?.value, "1", `node ${number}`);
      world.crash(number);
    }
  }));

Deno.test("A change that its leader died over is applied once, through the next leader", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [other = 0, third = 0] = world.numbers.filter((number) => number !== leader);
    await world.propose(putSetting("warm", "up"), other);
    // The third never hears of it, so that only a retry can tell; a repeated create would be refused.
    world.network.cut(world.machine(leader).nodeId, world.machine(other).nodeId);
    const answer = world.group(other).propose(putSetting("once", "1", 0), { timeoutMs: 15_000 });
    await world.until(
      "the leader or the third has it",
      () => world.group(third).catalogue.findSetting("once") !== undefined,
    );
    world.crash(leader);
    const outcome = await world.settle(answer);
    assert.equal(outcome.kind, "applied");
    const revision = world.group(third).catalogue.findSetting("once")?.revision;
    assert.deepEqual(outcome, { kind: "applied", revision });
  }));

Deno.test("A change waits for a leader instead of failing", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [other = 0] = world.numbers.filter((number) => number !== leader);
    world.crash(leader);
    await world.propose(putSetting("a", "1"), other);
  }));

Deno.test("Without a quorum changes and consistent reads fail by name while stale reads go on", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    await world.propose(putSetting("a", "1"), leader);
    await world.converged();
    for (const number of world.numbers) if (number !== leader) world.crash(number);
    const write = world.group(leader).propose(putSetting("a", "2"), { timeoutMs: 2_000 });
    const read = world.group(leader).read(() => "read", { timeoutMs: 2_000 });
    const refused = Promise.all([
      assert.rejects(write, failsWith("no_quorum", /outcome is unknown/)),
      assert.rejects(read, failsWith("no_quorum")),
    ]);
    await world.settle(refused);
    assert.equal(world.group(leader).catalogue.findSetting("a")?.value, "1");
    // Nobody leads any more, so nothing even leaves.
    const late = world.group(leader).propose(putSetting("b", "2"), { timeoutMs: 1_000 });
    await assert.rejects(world.settle(late), failsWith("no_quorum", /nothing was changed/));
  }));

Deno.test("An aborted change rejects with the signal's reason", () =>
  withGroup(3, async (world) => {
    const stop = new AbortController();
    const answer = world.group(1).propose(putSetting("a", "1"), { signal: stop.signal });
    const reason = new Error("gone");
    stop.abort(reason);
    await assert.rejects(answer, (error) => error === reason);
    await world.elected();
    await world.propose(putSetting("b", "1"), 1);
    assert.equal(world.group(1).catalogue.findSetting("a"), undefined);
  }));

Deno.test("A follower far behind is brought up to date by a snapshot and goes on", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [slow = 0, other = 0] = world.numbers.filter((number) => number !== leader);
    world.crash(slow);
    const value = "x".repeat(4_000);
    for (let key = 0; key < 200; key++) {
      await world.propose(putSetting(`key${key}`, value), other);
    }
    const news: unknown[] = [];
    await world.boot(slow);
    world.group(slow).onApplied(({ kinds }) => news.push(kinds));
    await world.until("caught up", () => {
      return world.group(slow).catalogue.findSetting("key199") !== undefined;
    });
    assert.ok(news.includes(undefined), "a snapshot may have changed anything");
    await world.propose(putSetting("z", "1"), slow);
    await world.converged();
    // What it took is on its disk, too.
    world.crash(slow);
    await world.boot(slow);
    assert.ok(world.group(slow).catalogue.findSetting("key150") !== undefined);
  }, { timing: { snapshotEntries: 50, trailingEntries: 5 } }));

Deno.test("A read through a new leader shows what the old one acknowledged", () =>
  withGroup(3, async (world) => {
    for (let round = 1; round <= 5; round++) {
      const leader = await world.elected();
      await world.propose(putSetting("a", `${round}`), leader);
      world.crash(leader);
      const [asked = 0] = world.numbers.filter((number) => number !== leader);
      assert.equal(await world.read(asked, "a"), `${round}`);
      await world.boot(leader);
    }
  }));

Deno.test("A leader that was cut off serves no stale read", () =>
  withGroup(3, async (world) => {
    const old = await world.elected();
    await world.propose(putSetting("a", "old"), old);
    world.isolate(old);
    const others = world.numbers.filter((number) => number !== old);
    const stale = world.group(old).read(
      (catalogue) => catalogue.findSetting("a")?.value,
      { timeoutMs: 3_000 },
    );
    const refused = assert.rejects(stale, failsWith("no_quorum"));
    const leader = await world.elected(others);
    await world.propose(putSetting("a", "new"), leader);
    await world.settle(refused);
    world.network.heal();
    assert.equal(await world.read(old, "a"), "new");
  }));

Deno.test("Reads that come together share one round to the quorum", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [asked = 0] = world.numbers.filter((number) => number !== leader);
    await world.read(asked, "a");
    let requests = 0;
    const group = world.group(leader);
    const receive = group.receive.bind(group);
    group.receive = (from, frame) => {
      if (from === world.machine(asked).nodeId && frame[1] === READ_INDEX_REQUEST) requests++;
      receive(from, frame);
    };
    const reads = Array.from(
      { length: 100 },
      (_, index) => world.group(asked).read(() => index, { timeoutMs: 1_000 }),
    );
    assert.deepEqual(await world.settle(Promise.all(reads)), [...reads.keys()]);
    assert.equal(requests, 1);
  }));

Deno.test("A failing disk fences the node: it says so, and the others go on", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    let changes = 0;
    world.group(leader).onChanged(() => changes++);
    world.machine(leader).disk.onOperation = (name) => {
      if (name === "sync") throw new StorageError("storage_failed", "Cannot sync: I/O error");
    };
    const answer = world.group(leader).propose(putSetting("a", "1"));
    await assert.rejects(world.settle(answer), failsWith("fenced", /I\/O error/));
    assert.equal(world.group(leader).fenced?.kind, "storage");
    assert.equal(world.group(leader).view().role, "follower");
    assert.ok(changes > 0);
    await assert.rejects(world.group(leader).propose(putSetting("a", "1")), failsWith("fenced"));
    await assert.rejects(
      world.group(leader).read(() => 1, { timeoutMs: 100 }),
      failsWith("fenced"),
    );
    assert.ok(world.machine(leader).told("node_fenced").length > 0);
    const others = world.numbers.filter((number) => number !== leader);
    const next = await world.elected(others);
    await world.propose(putSetting("b", "1"), next);
  }));

Deno.test("A bug fences the node that meets it: it says so, the others go on, and its log is whole", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const broken = world.numbers.find((number) => number !== leader) ?? 0;
    world.group(broken).catalogue.apply = () => {
      throw new InvariantError("Planted", { index: 7 });
    };
    await world.propose(putSetting("a", "1"), leader);
    await world.until("fenced", () => world.group(broken).fenced !== undefined);
    assert.equal(world.group(broken).fenced?.kind, "invariant_broken");
    const answer = world.group(broken).propose(putSetting("b", "1"));
    await assert.rejects(answer, failsWith("fenced", /Planted: index=7/));
    const told = world.machine(broken).telemetry.lines.find(({ event }) => event === "part_broken");
    assert.deepEqual([told?.level, told?.values.part], ["error", "group"]);
    assert.match(String(told?.values.stack), /group_test/);
    await world.propose(putSetting("b", "2"), leader);
    world.crash(broken, { power: false });
    await world.boot(broken);
    await world.converged();
    assert.equal(world.group(broken).catalogue.findSetting("b")?.value, "2");
  }));

Deno.test("A node that lost its log fences itself when the leader counts on it", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [amnesiac = 0] = world.numbers.filter((number) => number !== leader);
    await world.propose(putSetting("a", "1"), leader);
    await world.converged();
    const backup = await copyOf(world.machine(amnesiac).disk);
    for (let key = 0; key < 10; key++) await world.propose(putSetting(`k${key}`, "1"), leader);
    await world.converged();
    world.crash(amnesiac);
    for (const [name, bytes] of backup) world.machine(amnesiac).disk.put(name, bytes);
    await world.boot(amnesiac);
    await world.until("fenced", () => world.group(amnesiac).fenced !== undefined, 20_000);
    assert.equal(world.group(amnesiac).fenced?.kind, "log_lost");
  }));

Deno.test("A node with a damaged log is fenced from its start, shows what it knew, and the others go on", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    await world.propose(putSetting("a", "1"), leader);
    // Carries the word to its disk that the one before is committed.
    await world.propose(putSetting("a2", "1"), leader);
    await world.converged();
    const others = world.numbers.filter((number) => number !== leader);
    world.crash(leader, { power: false });
    const [segment = ""] = (await world.machine(leader).disk.list()).filter((name) =>
      name.endsWith(".log")
    );
    world.machine(leader).disk.rot(segment, 20, 1);
    await world.boot(leader);
    const { fenced, catalogue } = world.group(leader);
    assert.equal(fenced?.kind, "storage");
    assert.match(fenced?.reason ?? "", /wal-0000000001\.log.*checksum/);
    assert.equal(catalogue.findSetting("a")?.value, "1");
    const next = await world.elected(others);
    await world.propose(putSetting("b", "1"), next);
    await world.advance(5_000);
    assert.equal(world.group(leader).view().role, "follower");
    assert.equal(world.group(leader).catalogue.findSetting("b"), undefined);
    await assert.rejects(
      world.proposed(putSetting("c", "1"), leader),
      failsWith("fenced", /checksum/),
    );
    const { value, consistency } = await world.settle(
      world.group(leader).readOrStale((known) => known.findSetting("a")?.value, { waitMs: 250 }),
    );
    assert.deepEqual([value, consistency], ["1", "stale"]);
  }));

Deno.test("A node that meets entries of a newer program stops instead of misreading them", () =>
  withGroup(1, async (world) => {
    const answer = world.group(1).propose({ kind: "raise_schema", schema: 99 });
    await assert.rejects(world.settle(answer), failsWith("fenced", /update odist/));
    assert.equal(world.group(1).fenced?.kind, "newer_schema");
    // Not by a restart either.
    world.crash(1, { power: false });
    await world.boot(1);
    await world.until("fenced again", () => world.group(1).fenced !== undefined);
  }));

Deno.test("Joiners with empty logs learn, are promoted, and the group survives its founder", () =>
  withGroup(1, async (world) => {
    await world.propose(putSetting("a", "1"), 1);
    for (const number of [2, 3]) {
      await world.join(number);
      assert.deepEqual(world.voters(1), [1], "one that votes is no quorum of two");
    }
    await world.until("all vote", () => {
      const { voters, votersOutgoing } = world.group(1).view().configuration;
      return voters.length === 3 && votersOutgoing.length === 0;
    });
    await world.converged();
    world.crash(1);
    const leader = await world.elected([2, 3]);
    await world.propose(putSetting("b", "1"), leader);
    assert.equal(world.group(leader).catalogue.findSetting("a")?.value, "1");
  }));

Deno.test("A joiner's first read is answered as soon as it has the group's state", () =>
  withGroup(3, async (world) => {
    await world.propose(putSetting("a", "1"), 1);
    const { nodeId: far } = await world.prepare(4);
    world.network.shape({ delayMs: 20 }, { from: world.machine(1).nodeId, to: far });
    await world.join(4);
    const joiner = world.group(4);
    assert.equal(joiner.catalogue.appliedIndex, 0, "the state came first");
    // What the leader answers to its question overtakes the state that names the leader.
    const receive = joiner.receive.bind(joiner);
    let isAnswered = false;
    joiner.receive = (from, frame) => {
      isAnswered ||= frame[1] === READ_INDEX_RESPONSE;
      if (isAnswered || frame[1] !== APPEND_REQUEST) receive(from, frame);
    };
    const reading = joiner.read((catalogue) => catalogue.findSetting("a")?.value, {
      timeoutMs: 5_000,
    });
    await world.until("it is answered", () => isAnswered);
    assert.equal(joiner.catalogue.appliedIndex, 0, "the answer overtook nothing");
    await world.until("it has the state", () => joiner.catalogue.findSetting("a") !== undefined);
    assert.equal(await world.settle(reading, 100), "1");
  }));

for (const count of [1, 3]) {
  Deno.test(`A node of ${count} without room on its disk says so, and goes on by itself when there is some`, () =>
    withGroup(count, async (world) => {
      const full = await world.elected();
      const group = world.group(full);
      world.machine(full).disk.capacityBytes = 0;
      // A snapshot is due, and its file can't be made.
      for (let change = 0; change < 30 && group.fenced === undefined; change++) {
        await world.settle(
          group.propose(putSetting("a", String(change)), { timeoutMs: 1_000 }).catch(() => {}),
          1_100,
        );
      }
      await world.until("it has no room", () => group.fenced?.kind === "storage");
      assert.match(group.fenced?.reason ?? "", /disk is full/);
      await assert.rejects(group.propose(putSetting("b", "1")), failsWith("fenced", /full/));
      if (count > 1) {
        const others = world.numbers.filter((number) => number !== full);
        const leader = await world.elected(others);
        await world.propose(putSetting("c", "1"), leader);
        assert.equal(world.group(full).view().role, "follower");
      }
      world.machine(full).disk.capacityBytes = Infinity;
      await world.until("there is room again", () => group.fenced === undefined, 10_000);
      await world.propose(putSetting("b", "2"), full);
      assert.equal(group.catalogue.findSetting("b")?.value, "2");
    }, { timing: { snapshotEntries: 10, trailingEntries: 2 } }));
}

Deno.test("A group change is refused by name where it can't be made", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [other = 0] = world.numbers.filter((number) => number !== leader);
    const add = change({ action: "add_learner", node: "9".repeat(16) as NodeId });
    const patience = { timeoutMs: 2_000 };
    await assert.rejects(
      world.settle(world.group(other).changeGroup(add, patience)),
      failsWith("group_change_failed", /does not lead/),
    );
    const first = world.group(leader).changeGroup(add, patience);
    const second = world.group(leader).changeGroup(add, patience);
    const refused = assert.rejects(second, failsWith("group_change_failed", /change_pending/));
    await world.settle(Promise.all([first, refused]));
  }));

Deno.test("Whom a leader leaves the only vote leads at once, without missing anybody first", () =>
  withGroup(2, async (world) => {
    assert.deepEqual([await world.elected(), world.voters(1)], [1, [1]]);
    const leaving = change(
      { action: "add_voter", node: world.machine(2).nodeId },
      { action: "remove", node: world.machine(1).nodeId },
    );
    await world.settle(world.group(1).changeGroup(leaving, { timeoutMs: 5_000 }));
    await world.until("it leads", () => world.group(2).view().role === "leader", 100);
  }));

Deno.test("Leadership moves to whom it is handed", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [other = 0] = world.numbers.filter((number) => number !== leader);
    world.group(leader).transferLeadership(world.machine(other).nodeId);
    await world.until("the other leads", () => world.group(other).view().role === "leader");
  }));

Deno.test("Word that the leader is dead brings an election forward, but replaces no quorum", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const { term } = world.group(leader).view();
    const others = world.numbers.filter((number) => number !== leader);
    // A lone rumour about a living leader changes nothing.
    world.group(others[0] ?? 0).hintLeaderDown(world.machine(leader).nodeId);
    await world.advance(2_000);
    assert.equal(world.group(leader).view().role, "leader");
    assert.equal(world.group(leader).view().term, term);
    world.crash(leader);
    for (const number of others) world.group(number).hintLeaderDown(world.machine(leader).nodeId);
    const startedMs = world.network.clock.monotonicMs();
    await world.elected(others);
    const tookMs = world.network.clock.monotonicMs() - startedMs;
    assert.ok(tookMs < 500, `${tookMs} ms, an election timeout is at least 500`);
  }));

Deno.test("Frames that make no sense are dropped and counted", () =>
  withGroup(3, async (world) => {
    const leader = await world.elected();
    const [other = 0] = world.numbers.filter((number) => number !== leader);
    const { nodeId: peer } = world.machine(other);
    for (const bytes of [[], [9, 9], [1, 200], [1, 0, 1]]) {
      world.group(leader).receive(peer, Uint8Array.from(bytes));
    }
    await world.propose(putSetting("a", "1"), leader);
    const { lines, samples } = world.machine(leader).telemetry;
    assert.equal(samples.filter(({ name }) => name === "odist_raft_refused_total").length, 4);
    // The rest is told with the next line, a second later.
    assert.equal(lines.filter(({ event }) => event === "raft_message_refused").length, 1);
  }));

Deno.test("A closed group refuses by name and closes twice", () =>
  withGroup(1, async (world) => {
    const group = world.group(1);
    const waiting = group.read(() => 1, { timeoutMs: 1_000 });
    const closed = group.close();
    await assert.rejects(waiting, failsWith("stopping"));
    await closed;
    await group.close();
    await assert.rejects(group.propose(putSetting("a", "1")), failsWith("stopping"));
  }));

async function copyOf(disk: {
  list(): Promise<readonly string[]>;
  read(name: string): Promise<Uint8Array | undefined>;
}): Promise<Map<string, Uint8Array | undefined>> {
  const files = new Map<string, Uint8Array | undefined>();
  for (const name of await disk.list()) files.set(name, await disk.read(name));
  return files;
}
