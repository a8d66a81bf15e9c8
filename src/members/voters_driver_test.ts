import assert from "node:assert/strict";
import { InvariantError, type NodeId, UnavailableError } from "../base/mod.ts";
import { type VoterCandidate, VOTERS_DEFAULTS } from "../core/catalogue/mod.ts";
import type { Configuration, RaftView } from "../core/raft/mod.ts";
import {
  changeSimply,
  EMPTY_CONFIGURATION,
  enterJoint,
  leaveJoint,
  toGroup,
} from "../core/raft/configuration.ts";
import type { GroupChange } from "../protocol/mod.ts";
import { VirtualSchedule } from "../../tests/harness/simulated_schedule.ts";
import { VotersDriver, type VotersGroup } from "./voters_driver.ts";

const [A, B, C, D] = [..."1234"].map((digit) => digit.repeat(16)) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

/** A group that agrees to everything after 5 ms; learners catch up when a test says so. */
class AgreeableGroup implements VotersGroup {
  readonly schedule = new VirtualSchedule();
  readonly changes: GroupChange[] = [];
  readonly transfers: NodeId[] = [];
  readonly behind = new Set<NodeId>();
  role: RaftView["role"] = "leader";
  transferTarget: NodeId | undefined;
  refuses = false;
  configuration: Configuration = { ...EMPTY_CONFIGURATION, incoming: new Set([A]) };
  #listener: () => void = () => {};

  view() {
    const { role, transferTarget } = this;
    return { role, transferTarget, configuration: toGroup(this.configuration) };
  }

  caughtUpLearners(): readonly NodeId[] {
    return toGroup(this.configuration).learners.filter((id) => !this.behind.has(id));
  }

  async changeGroup(change: GroupChange): Promise<void> {
    this.changes.push(change);
    const done = Promise.withResolvers<void>();
    this.schedule.after(5, () => done.resolve());
    await done.promise;
    if (this.refuses) throw new UnavailableError("no_quorum", "not now");
    const joint = change.steps.length > 1;
    const result = joint
      ? enterJoint(this.configuration, change.steps, { autoLeave: true })
      : changeSimply(this.configuration, change.steps);
    assert.ok(result.kind === "changed");
    const left = joint ? leaveJoint(result.configuration) : result;
    assert.ok(left.kind === "changed");
    this.configuration = left.configuration;
    this.change();
  }

  transferLeadership(to: NodeId): void {
    this.transfers.push(to);
    this.transferTarget = to;
  }

  onChanged(listener: () => void): () => void {
    this.#listener = listener;
    return () => this.#listener = () => {};
  }

  change(): void {
    this.#listener();
  }
}

interface Scene {
  readonly group: AgreeableGroup;
  readonly driver: VotersDriver;
  readonly duties: Map<NodeId, VoterCandidate["duty"]>;
  readonly standings: Map<NodeId, VoterCandidate["standing"]>;
  readonly voters: () => readonly NodeId[];
  /** Lines of the log. */
  readonly events: readonly string[];
  readonly advance: (ms: number) => Promise<void>;
}

function scene(...members: NodeId[]): Scene {
  const events: string[] = [];
  const group = new AgreeableGroup();
  const duties = new Map(members.map((id) => [id, "serving" as VoterCandidate["duty"]]));
  const standings = new Map(members.map((id) => [id, "alive" as VoterCandidate["standing"]]));
  const driver = new VotersDriver({
    nodeId: A,
    group,
    members: () => [...duties].map(([nodeId, duty]) => ({ nodeId, duty })),
    standingOf: (nodeId) => standings.get(nodeId),
    clock: group.schedule.clock,
    log: { log: (level, event) => void events.push(`${level} ${event}`) },
    metrics: {
      increment: () => {},
      set: () => {},
      observe: () => {},
      render: () => Promise.reject(new Error("unused")),
    },
    options: VOTERS_DEFAULTS,
  });
  const voters = () => toGroup(group.configuration).voters;
  return {
    group,
    driver,
    duties,
    standings,
    voters,
    events,
    advance: (ms) => group.schedule.advance(ms),
  };
}

Deno.test("Three members come to vote within half a second, one change at a time", async () => {
  const { group, driver, voters, advance } = scene(A, B, C);
  group.behind.add(C);
  await advance(2);
  driver.look();
  await advance(2);
  assert.equal(group.changes.length, 1);
  await advance(400);
  assert.deepEqual(voters(), [A]);
  group.behind.clear();
  await advance(110);
  assert.deepEqual(voters(), [A, B, C]);
  assert.equal(group.changes.length, 2);
  await advance(60_000);
  assert.equal(group.changes.length, 2, "it does not come to rest");
  driver.close();
});

Deno.test("A dead voter is replaced when its time is over, counted from when it died", async () => {
  const { group, driver, standings, voters, advance } = scene(A, B, C, D);
  await advance(1_000);
  assert.deepEqual(voters(), [A, B, C]);
  // Another node leads while it dies.
  group.role = "follower";
  standings.set(C, "down");
  driver.look();
  await advance(50_000);
  group.role = "leader";
  group.change();
  await advance(9_900);
  assert.deepEqual(voters(), [A, B, C]);
  await advance(200);
  assert.deepEqual(voters(), [A, B, D]);
  driver.close();
});

Deno.test("A bug ends the keeping of voters alone, and is told", async () => {
  const { group, driver, events, advance } = scene(A, B, C);
  group.caughtUpLearners = () => {
    throw new InvariantError("Planted");
  };
  await advance(1_000);
  assert.deepEqual(events, ["error part_broken"]);
  group.change();
  driver.look();
  await advance(5_000);
  assert.equal(events.length, 1);
  assert.deepEqual(group.changes, []);
});

Deno.test("A node that does not lead proposes nothing", async () => {
  const { group, driver, advance } = scene(A, B, C);
  group.role = "follower";
  await advance(5_000);
  assert.deepEqual(group.changes, []);
  driver.close();
});

Deno.test("A change that failed is tried again a look later", async () => {
  const { group, driver, voters, advance } = scene(A, B);
  group.refuses = true;
  await advance(900);
  assert.equal(group.changes.length, 1);
  group.refuses = false;
  await advance(1_100);
  assert.deepEqual(toGroup(group.configuration).learners, [B]);
  assert.deepEqual(voters(), [A]);
  driver.close();
});

Deno.test("A leader that leaves asks once for a transfer and waits for it", async () => {
  const { group, driver, duties, voters, advance } = scene(A, B, C);
  await advance(1_000);
  assert.deepEqual(voters(), [A, B, C]);
  duties.set(A, "leaving");
  driver.look();
  await advance(3_000);
  assert.deepEqual(group.transfers, [B]);
  // It came to nothing.
  group.transferTarget = undefined;
  await advance(1_000);
  assert.deepEqual(group.transfers, [B, B]);
  driver.close();
});

Deno.test("A closed driver looks no more", async () => {
  const { group, driver, advance } = scene(A, B);
  driver.close();
  group.change();
  driver.look();
  await advance(5_000);
  assert.deepEqual(group.changes, []);
});
