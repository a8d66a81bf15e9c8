/** A Raft group with real disks and sockets in this process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type NodeId, Random } from "../../src/base/mod.ts";
import { limitEntries } from "../../src/core/raft/mod.ts";
import type { Group } from "../../src/group/group.ts";
import { openGroup } from "../../src/group/open_group.ts";
import { openDisk, openWal } from "../../src/storage/mod.ts";
import type { NodeIdentity } from "../../src/transport/mod.ts";
import { CountingMetrics, KeptLog, type QuicWorld, testClock } from "./quic_world.ts";

/** One member. */
export interface RealMember {
  readonly identity: NodeIdentity;
  group: Group;
  stop(): Promise<void>;
}

/** Members with real disks and sockets. */
export class RealGroup {
  readonly #addresses = new Map<NodeId, string>();
  readonly members: RealMember[] = [];
  /** When each member heard others, by its id; milliseconds of `performance.now()`. */
  readonly heardAtMs = new Map<NodeId, number[]>();

  constructor(readonly world: QuicWorld, readonly folder: string) {}

  async start(identities: readonly NodeIdentity[]): Promise<void> {
    const voters = identities.map(({ nodeId }) => nodeId);
    for (const identity of identities) this.members.push(await this.open(identity, voters));
  }

  async open(identity: NodeIdentity, voters: readonly NodeId[]): Promise<RealMember> {
    const { nodeId } = identity;
    const late: { group?: Group } = {};
    const heardAtMs: number[] = [];
    this.heardAtMs.set(nodeId, heardAtMs);
    const { transport } = await this.world.open({
      onDatagram: () => {},
      onFrame: (from, _channel, bytes) => {
        heardAtMs.push(performance.now());
        late.group?.receive(from, bytes);
      },
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
  async leader(not?: RealMember): Promise<RealMember> {
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
