/**
 * A member of a running cluster that has turned: its process is gone, and somebody speaks with its papers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { NodeId, Random } from "../../src/base/mod.ts";
import { encodeRaftFrames } from "../../src/protocol/mod.ts";
import { openSecretFolder } from "../../src/storage/mod.ts";
import { type NodeIdentity, openIdentity } from "../../src/transport/mod.ts";
import type { TestCluster } from "./cluster.ts";
import { type BytePipe, HostilePeer } from "./hostile_peer.ts";
import { gossipLie, raftLie } from "./lies.ts";

/** Its connections to the others, one each. */
export class Turncoat implements AsyncDisposable {
  readonly nodeId: NodeId;
  readonly #identity: NodeIdentity;
  readonly #peers = new Map<NodeId, { readonly peer: HostilePeer; readonly raft: BytePipe }>();

  private constructor(identity: NodeIdentity, nodeId: NodeId) {
    this.#identity = identity;
    this.nodeId = nodeId;
  }

  /** Kills the node and takes its papers. */
  static async take(cluster: TestCluster, name: string): Promise<Turncoat> {
    await cluster.kill(name);
    const folder = join(cluster.client(name).homeFolder, ".odist", "cluster");
    const files = await openSecretFolder(folder, { onRepaired: () => {} });
    const stored = await openIdentity(files, { name, nowMs: () => Date.now() });
    assert.ok(stored.membership !== undefined, `${name} is a member`);
    return new Turncoat(stored.membership.identity, stored.nodeId);
  }

  /** Is let in by a node, as the member that it is. */
  async meet(target: { readonly nodeId: NodeId; readonly port: number }): Promise<void> {
    const at = { nodeId: target.nodeId, address: `127.0.0.1:${target.port}` };
    const peer = await HostilePeer.connect(at, { identity: this.#identity });
    await peer.greet();
    this.#peers.set(target.nodeId, { peer, raft: await peer.openChannel("raft") });
  }

  /** Says `count` lies of the log's group, and as many of gossip about each of `about`. */
  async lie(
    to: NodeId,
    by: { readonly count: number; readonly random: Random; readonly about: readonly NodeId[] },
  ): Promise<void> {
    const met = this.#peers.get(to);
    assert.ok(met !== undefined, "Nobody lies to who was not met");
    const ends = { from: this.nodeId, to };
    // One after the other: a flood of datagrams leaves no room for streams.
    for (let said = 0; said < by.count; said++) {
      // Each a frame of its own: all of one is refused with its first malformed message.
      for (const frame of encodeRaftFrames([raftLie(by.random, ends)])) await met.raft.write(frame);
    }
    for (let said = 0; said < by.count; said++) {
      for (const about of by.about) {
        await met.peer.conn.sendDatagram(gossipLie(by.random, ends, about));
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const { peer } of this.#peers.values()) peer.close();
    return Promise.resolve();
  }
}
