/**
 * A node, a member that behaves, and room for peers that don't.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TransportLimits } from "../../src/transport/mod.ts";
import { HostilePeer } from "./hostile_peer.ts";
import { type QuicNodeOptions, QuicWorld } from "./quic_world.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { openNode, RecordingNode } from "./transport_contract.ts";

/** What a hostile test plays in. */
export class HostileScene {
  readonly world: QuicWorld;
  /** The node under attack. */
  readonly node: RecordingNode;
  /** Connected to the node from the start. */
  readonly friend: RecordingNode;
  readonly log: RecordingTelemetry;
  readonly metrics: RecordingTelemetry;
  readonly #peers: HostilePeer[] = [];
  #checks = 0;

  private constructor(parts: {
    world: QuicWorld;
    node: RecordingNode;
    friend: RecordingNode;
    log: RecordingTelemetry;
    metrics: RecordingTelemetry;
  }) {
    this.world = parts.world;
    this.node = parts.node;
    this.friend = parts.friend;
    this.log = parts.log;
    this.metrics = parts.metrics;
  }

  /** Sets the scene, plays, and checks at the end that the friend was not harmed. */
  static async play(
    play: (scene: HostileScene) => Promise<void>,
    options: { limits?: Partial<TransportLimits>; node?: QuicNodeOptions } = {},
  ): Promise<void> {
    await QuicWorld.run(options.limits ?? {}, async (world) => {
      const telemetry = new RecordingTelemetry();
      const [log, metrics] = [telemetry, telemetry];
      const node = new RecordingNode();
      const opened = await world.open(node, { log, metrics, ...options.node });
      node.nodeId = opened.nodeId;
      node.transport = opened.transport;
      const friend = await openNode(world);
      const scene = new HostileScene({ world, node, friend, log, metrics });
      try {
        await scene.checkFriend();
        await play(scene);
        await scene.checkFriend();
        assert.deepEqual([friend.lost, friend.failures], [[], []]);
      } finally {
        for (const peer of scene.#peers) peer.close();
      }
    });
  }

  /** A connection with a member's valid identity, by default a fresh one, that has not said anything. */
  async hostile(
    options: Partial<Parameters<typeof HostilePeer.connect>[1]> = {},
  ): Promise<HostilePeer> {
    const identity = options.identity ?? await this.world.identities.make();
    const peer = await HostilePeer.connect(this.node.at, { ...options, identity });
    this.#peers.push(peer);
    return peer;
  }

  /** As {@link hostile}, but let in. */
  async insider(): Promise<HostilePeer> {
    const peer = await this.hostile();
    await peer.greet();
    return peer;
  }

  /** A frame of the friend gets through. */
  async checkFriend(): Promise<void> {
    const text = `friend ${this.#checks++}`;
    this.friend.send(this.node.at, text);
    await this.node.until(() => this.node.texts().includes(text));
  }

  /** What the node was told that did not come from its friend. */
  get heard(): readonly string[] {
    return this.node.frames.filter(({ from }) => from !== this.friend.nodeId)
      .map(({ text }) => text);
  }
}
