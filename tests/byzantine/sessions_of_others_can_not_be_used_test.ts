import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { type CatalogueCommand, encodeCommand, encodeRaftFrames } from "../../src/protocol/mod.ts";
import { NodeWorld, putSetting } from "../harness/node_world.ts";

const LIES = 1_000;
/** Virtual milliseconds between lies: a node takes only so many frames at a time. */
const GAP_MS = 10;
const GAP_LIES = 50;

/** Three nodes that have each changed something, and who of them leads, is robbed, and lies. */
class Scene {
  readonly world: NodeWorld;
  readonly leader: number;
  readonly victim: number;
  readonly liar: number;
  readonly random = new Random(5);

  private constructor(world: NodeWorld, leader: number) {
    const [victim = 0, liar = 0] = world.numbers.filter((number) => number !== leader);
    this.world = world;
    this.leader = leader;
    this.victim = victim;
    this.liar = liar;
  }

  static async play(act: (scene: Scene) => Promise<void>): Promise<void> {
    await using world = await NodeWorld.start(3);
    const scene = new Scene(world, await world.elected());
    await scene.assertTaken("before");
    await world.converged();
    await act(scene);
  }

  /** What each node changes is changed, and not only said to be. */
  async assertTaken(value: string): Promise<void> {
    for (const number of this.world.numbers) {
      await this.world.propose(putSetting(`of.${number}`, value), number);
      assert.equal(await this.world.read(number, `of.${number}`), value);
    }
  }

  /** Sessions of nodes other than the liar, by their numbers. */
  sessions(): readonly number[] {
    const { catalogue } = this.world.group(this.leader);
    const numbers = Array.from({ length: catalogue.appliedIndex }, (_, index) => index + 1);
    const sessions = numbers.filter((number) => catalogue.findSession(number) !== undefined);
    // The proposals of each were made in turn, so the liar's is the one that was opened for its change.
    const own = this.world.numbers.indexOf(this.liar);
    return sessions.toSpliced(own, 1);
  }

  /** The liar forwards a command to a node as if it were one of these sessions' next. */
  forward(to: number, command: CatalogueCommand, session: number): void {
    const sequence = 2 + this.random.below(5);
    const data = encodeCommand({
      command,
      request: { session, sequence, firstUnanswered: 1 + this.random.below(sequence) },
    });
    const ends = { from: this.world.machine(this.liar).nodeId, to: this.world.machine(to).nodeId };
    const proposals = [{ kind: "command", data }] as const;
    for (const frame of encodeRaftFrames([{ ...ends, kind: "proposal_forward", proposals }])) {
      this.world.group(to).receive(ends.from, frame);
    }
  }

  forged(): number {
    const { catalogue } = this.world.group(this.leader);
    return catalogue.settings().filter(({ key }) => key.startsWith("forged")).length;
  }
}

for (const told of ["leader", "victim"] as const) {
  Deno.test(`A member that proposes a thousand times under others' sessions to the ${told} changes nothing`, () =>
    Scene.play(async (scene) => {
      const { world } = scene;
      const sessions = scene.sessions();
      assert.equal(sessions.length, 2);
      const [revision] = [world.group(scene.leader).catalogue.appliedIndex];
      for (let lie = 0; lie < LIES; lie++) {
        const closes = scene.random.chance(1, 4);
        const command: CatalogueCommand = closes
          ? { kind: "close_session" }
          : putSetting(`forged.${lie}`, "x");
        scene.forward(scene[told], command, scene.random.pick(sessions) ?? 0);
        if (lie % GAP_LIES === 0) await world.advance(GAP_MS);
      }
      await world.advance(2_000);
      assert.equal(scene.forged(), 0);
      assert.equal(world.group(scene.leader).catalogue.appliedIndex, revision, "the log grew");
      assert.deepEqual(scene.sessions(), sessions);
      await scene.assertTaken("after");
      await world.converged();
      if (told !== "leader") return;
      const { samples, lines } = world.machine(scene.leader).telemetry;
      const lies = samples.filter(({ name }) => name === "odist_raft_refused_total").length;
      assert.equal(lies, LIES);
      const [first] = lines.filter(({ event }) => event === "raft_message_refused");
      assert.equal(first?.values.from, world.machine(scene.liar).nodeId);
    }));
}

Deno.test("A member can't open a session in another's name", () =>
  Scene.play(async (scene) => {
    const { world } = scene;
    const [session = 0] = scene.sessions();
    const { nonce } = world.group(scene.leader).catalogue.findSession(session) ?? assert.fail();
    const data = encodeCommand({
      command: { kind: "open_session", nonce: nonce.with(15, (nonce[15] ?? 0) ^ 1) },
      request: undefined,
    });
    const ends = { from: world.machine(scene.liar).nodeId, to: world.machine(scene.leader).nodeId };
    const proposals = [{ kind: "command", data }] as const;
    const before = world.group(scene.leader).catalogue.appliedIndex;
    for (const frame of encodeRaftFrames([{ ...ends, kind: "proposal_forward", proposals }])) {
      world.group(scene.leader).receive(ends.from, frame);
    }
    await world.advance(1_000);
    assert.equal(world.group(scene.leader).catalogue.appliedIndex, before);
    await scene.assertTaken("after");
  }));

Deno.test("A session that an earlier version opened is used as before", () =>
  Scene.play(async (scene) => {
    const { world } = scene;
    const nonce = new Uint8Array(16).fill(7);
    const data = encodeCommand({ command: { kind: "open_session", nonce }, request: undefined });
    const ends = { from: world.machine(scene.liar).nodeId, to: world.machine(scene.leader).nodeId };
    const forward = (bytes: Uint8Array) => {
      const proposals = [{ kind: "command", data: bytes }] as const;
      for (const frame of encodeRaftFrames([{ ...ends, kind: "proposal_forward", proposals }])) {
        world.group(scene.leader).receive(ends.from, frame);
      }
    };
    const { catalogue } = world.group(scene.leader);
    const session = catalogue.appliedIndex + 1;
    forward(data);
    await world.until("it is open", () => catalogue.findSession(session) !== undefined);
    const request = { session, sequence: 1, firstUnanswered: 1 };
    forward(encodeCommand({ command: putSetting("old", "x"), request }));
    await world.until("it is applied", () => catalogue.findSetting("old") !== undefined);
  }));
