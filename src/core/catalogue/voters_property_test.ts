import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import type { GroupChange } from "../../protocol/mod.ts";
import type { Configuration } from "../raft/mod.ts";
import {
  changeSimply,
  EMPTY_CONFIGURATION,
  enterJoint,
  leaveJoint,
  toGroup,
} from "../raft/configuration.ts";
import { planVoters, type VoterCandidate, VOTERS_DEFAULTS } from "./voters.ts";

const SEEDS = 400;
const STEPS = 120;
const NODES_MAX = 9;

interface WorldMember {
  readonly nodeId: NodeId;
  standing: VoterCandidate["standing"];
  sinceMs: number;
  duty: VoterCandidate["duty"];
  claims: boolean;
  caughtUp: boolean;
}

/** A cluster whose gossip is right and whose log works at once, as far as a quorum lives. */
class World {
  readonly members = new Map<NodeId, WorldMember>();
  /** Processes that run and are talked to. */
  readonly running = new Set<NodeId>();
  configuration: Configuration;
  readonly #random: Random;
  #nowMs = 0;
  #leader: NodeId | undefined;
  #made = 0;
  /** Fate takes no quorum; in the other worlds it takes what it wants, and most of them end. */
  readonly #gentle: boolean;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#gentle = this.#random.chance(3, 4);
    const first = this.#makeNode();
    this.configuration = { ...EMPTY_CONFIGURATION, incoming: new Set([first]) };
  }

  /** One thing happens that nobody decided. */
  befall(): void {
    const member = this.#random.pick([...this.members.values()]);
    if (member === undefined) return;
    this.#nowMs += this.#random.pick([1, 100, 1_000, 30_000]) ?? 1;
    switch (this.#random.below(8)) {
      case 0:
      case 1:
        if (this.members.size < NODES_MAX) this.#makeNode();
        return;
      case 2:
        if (this.#gentle && !this.#canSpare(member.nodeId)) return;
        this.running.delete(member.nodeId);
        return this.#mark(member, this.#random.chance(1, 3) ? "left" : "down");
      case 3:
        if (this.running.has(member.nodeId)) this.#mark(member, "suspect");
        return;
      case 4:
      case 5:
        this.running.add(member.nodeId);
        member.caughtUp = this.#random.chance(1, 2);
        return this.#mark(member, "alive");
      case 6:
        member.duty = this.#random.pick(["serving", "serving", "drained", "leaving"]) ?? "serving";
        member.claims = this.#random.chance(1, 3);
        return;
      case 7:
        // An operator removes nobody that is the last one. All others hang up on it: it is as good as dead.
        if (this.members.size === 1 || (this.#gentle && !this.#canSpare(member.nodeId))) return;
        this.members.delete(member.nodeId);
        this.running.delete(member.nodeId);
    }
  }

  /** The leader looks once, and what it orders is done. Returns what it was. */
  look(): string {
    this.#elect();
    if (this.#leader === undefined) return "no leader";
    if (this.configuration.outgoing.size > 0) this.#leave();
    const { members } = this;
    const learners = toGroup(this.configuration).learners;
    const planned = planVoters({
      self: this.#leader,
      configuration: toGroup(this.configuration),
      members: [...members.values()],
      caughtUp: learners.filter((id) => this.running.has(id) && members.get(id)?.caughtUp),
      nowMs: this.#nowMs,
    }, VOTERS_DEFAULTS);
    if (planned.kind === "transfer") {
      assert.ok(this.configuration.incoming.has(planned.to), "the heir votes");
      assert.ok(this.running.has(planned.to), "the heir lives");
      assert.ok(this.configuration.incoming.size > 1);
      this.#leader = planned.to;
    }
    if (planned.kind === "change") this.#apply(planned.change);
    return planned.kind === "change" ? planned.why : planned.kind;
  }

  /** Time passes in which nothing befalls; whoever runs answers and catches up. */
  settle(): void {
    for (const member of this.members.values()) {
      const { nodeId } = member;
      if (this.running.has(nodeId) && member.standing !== "alive") this.#mark(member, "alive");
      member.caughtUp = true;
    }
    for (let round = 0; round < 40; round++) {
      this.#nowMs += 5_000;
      this.look();
    }
  }

  get hasLeader(): boolean {
    this.#elect();
    return this.#leader !== undefined;
  }

  #apply(change: GroupChange): void {
    const before = this.configuration;
    assert.ok(this.#leader !== undefined);
    const joint = change.steps.length > 1;
    const result = joint
      ? enterJoint(before, change.steps, { autoLeave: true })
      : changeSimply(before, change.steps);
    if (result.kind === "refused") throw new Error(`refused: ${result.reason}`);
    this.configuration = result.configuration;
    const { incoming } = this.configuration;
    assert.ok(this.#quorumLives(incoming), "the new voters have no living quorum");
    assert.ok(incoming.has(this.#leader), "the leader took its own vote away");
    const grown = [...incoming].filter((id) => !before.incoming.has(id));
    assert.ok(grown.every((id) => this.running.has(id)), "a dead node was given a vote");
    const handsOver = !this.#stays(this.#leader) || this.#isClaimed(this.#leader, incoming);
    assert.ok(incoming.size % 2 === 1 || handsOver || incoming.size === before.incoming.size);
    assert.ok(incoming.size <= VOTERS_DEFAULTS.votersMax);
  }

  #leave(): void {
    const left = leaveJoint(this.configuration);
    if (left.kind === "refused") throw new Error(left.reason);
    this.configuration = left.configuration;
  }

  #elect(): void {
    const { incoming, outgoing } = this.configuration;
    const works = this.#quorumLives(incoming) &&
      (outgoing.size === 0 || this.#quorumLives(outgoing));
    const leads = this.#leader !== undefined && incoming.has(this.#leader) &&
      this.running.has(this.#leader);
    if (!works) this.#leader = undefined;
    else if (!leads) {
      this.#leader = this.#random.pick([...incoming].filter((id) => this.running.has(id)).sort());
    }
  }

  #quorumLives(voters: ReadonlySet<NodeId>): boolean {
    return [...voters].filter((id) => this.running.has(id)).length > voters.size / 2;
  }

  #canSpare(nodeId: NodeId): boolean {
    const { incoming, outgoing } = this.configuration;
    return [incoming, outgoing].every((voters) => {
      const left = [...voters].filter((id) => id !== nodeId && this.running.has(id)).length;
      return voters.size === 0 || left > voters.size / 2;
    });
  }

  /** Whether the leader makes room for one of the new voters that had left its vote to others. */
  #isClaimed(leader: NodeId, incoming: ReadonlySet<NodeId>): boolean {
    const claims = (id: NodeId) => this.members.get(id)?.claims ?? false;
    return !claims(leader) && [...incoming].some((id) => id !== leader && claims(id));
  }

  #stays(nodeId: NodeId): boolean {
    const duty = this.members.get(nodeId)?.duty;
    return duty !== undefined && duty === "serving";
  }

  #mark(member: WorldMember, standing: VoterCandidate["standing"]): void {
    member.standing = standing;
    member.sinceMs = this.#nowMs;
  }

  #makeNode(): NodeId {
    const nodeId = (++this.#made).toString(16).padStart(16, "0") as NodeId;
    const sinceMs = this.#nowMs;
    this.members.set(nodeId, {
      nodeId,
      standing: "alive",
      sinceMs,
      duty: "serving",
      claims: false,
      caughtUp: false,
    });
    this.running.add(nodeId);
    return nodeId;
  }
}

/** What the rules say about the end, computed without them. */
function checkSettled(world: World): void {
  const voters = [...world.configuration.incoming];
  const members = [...world.members.values()];
  const staying = members.filter(({ duty }) => duty !== "leaving");
  const living = staying.filter(({ nodeId }) => world.running.has(nodeId));
  const wanted = Math.min(VOTERS_DEFAULTS.votersMax, staying.length - 1 + staying.length % 2);
  if (living.length === 0) return;
  assert.equal(voters.length % 2, 1, "an even number votes");
  assert.ok(voters.length <= wanted);
  const livingVoters = voters.filter((id) => world.running.has(id));
  // As many as can vote do, but for one that makes the number odd.
  assert.ok(livingVoters.length >= Math.min(wanted, living.length - 1 + living.length % 2));
  const duties = new Map(members.map(({ nodeId, duty }) => [nodeId, duty]));
  assert.ok(voters.every((id) => duties.has(id) && duties.get(id) !== "leaving"));
  const serving = living.filter(({ duty }) => duty === "serving");
  const drainedVoters = voters.filter((id) => duties.get(id) === "drained");
  const idle = serving.filter(({ nodeId }) => !voters.includes(nodeId));
  assert.ok(
    drainedVoters.length === 0 || idle.length === 0,
    "a drained node votes for an idle one",
  );
  const learners = members.map(({ nodeId }) => nodeId).filter((id) => !voters.includes(id)).sort();
  assert.deepEqual([...world.configuration.learners].sort(), learners);
}

Deno.test("Whatever befalls a group, no step of its own costs it its quorum, and it settles", () => {
  let settled = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed);
    try {
      for (let step = 0; step < STEPS; step++) {
        world.befall();
        const before = world.hasLeader;
        world.look();
        if (before) assert.ok(world.hasLeader, "the group lost its quorum by its own step");
      }
      world.settle();
      if (!world.hasLeader) continue;
      settled++;
      checkSettled(world);
      assert.equal(world.look(), "none", "it does not come to rest");
    } catch (error) {
      console.log([...world.members.values()], [...world.running], world.configuration);
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  assert.ok(settled > SEEDS / 2, `only ${settled} groups could settle at all`);
});
