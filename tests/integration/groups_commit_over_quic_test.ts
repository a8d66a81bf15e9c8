import assert from "node:assert/strict";
import { join } from "node:path";
import { type NodeId, Random } from "../../src/base/mod.ts";
import { limitEntries } from "../../src/core/raft/mod.ts";
import type { Group } from "../../src/group/group.ts";
import { openGroup } from "../../src/group/open_group.ts";
import { openDisk, openWal } from "../../src/storage/mod.ts";
import type { NodeIdentity } from "../../src/transport/mod.ts";
import { putSetting } from "../harness/groups.ts";
import { CountingMetrics, KeptLog, QuicWorld, testClock } from "../harness/quic_world.ts";

interface Member {
  readonly identity: NodeIdentity;
  group: Group;
  stop(): Promise<void>;
}

/** Members with real disks and sockets. */
class RealGroup {
  readonly #addresses = new Map<NodeId, string>();
  readonly members: Member[] = [];

  constructor(readonly world: QuicWorld, readonly folder: string) {}

  async start(identities: readonly NodeIdentity[]): Promise<void> {
    const voters = identities.map(({ nodeId }) => nodeId);
    for (const identity of identities) this.members.push(await this.open(identity, voters));
  }

  async open(identity: NodeIdentity, voters: readonly NodeId[]): Promise<Member> {
    const { nodeId } = identity;
    const late: { group?: Group } = {};
    const { transport } = await this.world.open({
      onDatagram: () => {},
      onFrame: (from, _channel, bytes) => late.group?.receive(from, bytes),
      onStream: (stream) => stream.reset(),
      onSendFailed: (to) => late.group?.reportUnreachable(to),
      onConnectionLost: (peer) => late.group?.reportUnreachable(peer),
    }, { identity });
    this.#addresses.set(nodeId, transport.address);
    const disk = await openDisk(join(this.folder, nodeId));
    const group = await openGroup({
      nodeId,
      store: await openWal(disk, { owner: nodeId, limitEntries }),
      transport,
      addressOf: (id) => this.#addresses.get(id) ?? "",
      clock: testClock,
      random: new Random(parseInt(nodeId.slice(0, 8), 16)),
      log: new KeptLog(),
      metrics: new CountingMetrics(),
      founding: { voters },
    });
    late.group = group;
    const stop = async () => {
      await group.close();
      await transport.close();
    };
    return { identity, group, stop };
  }

  /** Resolves once a member leads, other than `not`. */
  async leader(not?: Member): Promise<Member> {
    const found = () =>
      this.members.find((member) => member !== not && member.group.view().role === "leader");
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (found() !== undefined) resolve();
    };
    const stops = this.members.map(({ group }) => group.onChanged(look));
    look();
    await promise;
    for (const stop of stops) stop();
    const leader = found();
    assert.ok(leader !== undefined);
    return leader;
  }
}

Deno.test("Three nodes commit over QUIC to their disks, through a leader's end and its return", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-groups-" });
  await QuicWorld.run({}, async (world) => {
    const real = new RealGroup(world, folder);
    const identities = await Promise.all([0, 1, 2].map(() => world.identities.make()));
    await real.start(identities);
    const first = await real.leader();
    for (const [index, { group }] of real.members.entries()) {
      const outcome = await group.propose(putSetting(`k${index}`, "1", 0));
      assert.equal(outcome.kind, "applied");
    }
    const many = Array.from(
      { length: 300 },
      (_, index) => first.group.propose(putSetting(`many${index}`, "x".repeat(1_000))),
    );
    for (const outcome of await Promise.all(many)) assert.equal(outcome.kind, "applied");

    await first.stop();
    const next = await real.leader(first);
    assert.equal((await next.group.propose(putSetting("after", "1", 0))).kind, "applied");

    const back = await real.open(first.identity, identities.map(({ nodeId }) => nodeId));
    real.members[real.members.indexOf(first)] = back;
    const read = await back.group.read(
      (catalogue) => [catalogue.findSetting("after")?.value, catalogue.findSetting("k0")?.value],
      { timeoutMs: 10_000 },
    );
    assert.deepEqual(read, ["1", "1"]);
    for (const { group } of real.members) await group.close();
  });
  await Deno.remove(folder, { recursive: true });
});
