/**
 * A member of a running cluster that has turned: its process is gone, and somebody speaks with its papers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Incarnation, NodeId, Random } from "../../src/base/mod.ts";
import { decodeDatagram, encodeRaftFrames } from "../../src/protocol/mod.ts";
import { openSecretFolder } from "../../src/storage/mod.ts";
import { type NodeIdentity, openIdentity } from "../../src/transport/mod.ts";
import type { TestCluster } from "./cluster.ts";
import { type BytePipe, HostilePeer } from "./hostile_peer.ts";
import { encodeDatagram } from "./datagrams.ts";
import { gossipLie, raftLie, valueLie, valuesLie } from "./lies.ts";

/** A connection, its channels, and the life of who is at its other end. */
interface Met {
  readonly peer: HostilePeer;
  readonly raft: BytePipe;
  readonly membership: BytePipe;
  readonly pulse: Pulse;
  readonly bootEpoch: number;
}

/** Lies between two looks at whether they were heard: it is their sense that is tested, not their number. */
const ROUND = 10;

/** Its connections to the others, one each. */
export class Turncoat implements AsyncDisposable {
  readonly nodeId: NodeId;
  readonly #identity: NodeIdentity;
  readonly #peers = new Map<NodeId, Met>();

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
    const raft = await peer.openChannel("raft");
    const membership = await peer.openChannel("membership");
    const pulse = new Pulse(peer.conn);
    const bootEpoch = await pulse.beat();
    this.#peers.set(target.nodeId, { peer, raft, membership, pulse, bootEpoch });
  }

  /**
   * Says `count` lies of the log's group, and as many of gossip about each of `about`: of its life, and of its values on
   * datagrams and on the stream.
   */
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
      if (said % ROUND === 0) await met.pulse.beat();
    }
    for (let said = 0; said < by.count; said++) {
      for (const about of by.about) {
        await met.peer.conn.sendDatagram(gossipLie(by.random, ends, about));
        const bootEpoch = this.#peers.get(about)?.bootEpoch ?? 1;
        await met.peer.conn.sendDatagram(valueLie(by.random, { nodeId: about, bootEpoch }));
        await met.membership.write(valuesLie(by.random, { nodeId: about, bootEpoch }));
      }
      if (said % ROUND === 0) await met.pulse.beat();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const { peer } of this.#peers.values()) peer.close();
    return Promise.resolve();
  }
}

/** Milliseconds after which an unanswered ping is sent again. */
const PING_MS = 200;

/** Knows whether the other end keeps up with what it is sent. */
class Pulse {
  readonly #conn: Deno.QuicConn;
  #sequence = 0;
  #onAck: (ack: { readonly sequence: number; readonly bootEpoch: number }) => void = () => {};

  constructor(conn: Deno.QuicConn) {
    this.#conn = conn;
    void this.#listen();
  }

  /** Resolves, with the life of who answers, when the other end has taken what was sent before. */
  async beat(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const first = this.#sequence + 1;
    this.#onAck = (ack) => {
      if (ack.sequence >= first) resolve(ack.bootEpoch);
    };
    const ping = () => {
      const bytes = encodeDatagram({
        source: { bootEpoch: 1, incarnation: 0 as Incarnation },
        body: { kind: "ping", sequence: ++this.#sequence },
        piggyback: { accusation: undefined, claims: [], values: [] },
      });
      void this.#conn.sendDatagram(bytes);
    };
    ping();
    const timer = setInterval(ping, PING_MS);
    return await promise.finally(() => clearInterval(timer));
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const decoded = decodeDatagram(await this.#conn.readDatagram());
        if (decoded.kind !== "decoded" || decoded.value.body.kind !== "ack") continue;
        const { body: { sequence }, source: { bootEpoch } } = decoded.value;
        this.#onAck({ sequence, bootEpoch });
      }
    } catch {
      // The connection has ended.
    }
  }
}
