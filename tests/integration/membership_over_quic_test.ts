/**
 * Membership over real connections: what the simulated network can't show is that datagrams, channels and the transport's
 * own failures fit together.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../../src/base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { type MembershipDriver, openMembership } from "../../src/members/membership_driver.ts";
import type { TransportHandlers } from "../../src/ports/mod.ts";
import { CountingMetrics, KeptLog, QuicWorld, testClock } from "../harness/quic_world.ts";

/** Longest wait for anything; a loaded machine is slow, and a healthy run takes a tenth. */
const LIMIT_MS = 30_000;

class QuicMember {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly driver: MembershipDriver;
  #look: () => void = () => {};

  private constructor(parts: { nodeId: NodeId; address: string; driver: MembershipDriver }) {
    this.nodeId = parts.nodeId;
    this.address = parts.address;
    this.driver = parts.driver;
    parts.driver.onMemberChanged(() => this.#look());
    parts.driver.onValuesChanged(() => this.#look());
  }

  static async open(world: QuicWorld): Promise<QuicMember> {
    const handlers: TransportHandlers = {
      onDatagram: (from, bytes) => driver.receiveDatagram(from, bytes),
      onFrame: (from, _channel, bytes) => driver.receiveFrame(from, bytes),
      onStream: (stream) => stream.reset(),
      onSendFailed: (to, what) => driver.sendFailed(to, what),
      onConnectionLost: (peer) => driver.connectionLost(peer),
    };
    const { nodeId, transport } = await world.open(handlers);
    const driver: MembershipDriver = openMembership({
      nodeId,
      address: transport.address,
      bootEpoch: 1,
      incarnation: 0 as Incarnation,
      timing: MEMBERSHIP_PRESETS.lan,
      transport,
      clock: testClock,
      random: new Random(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0),
      log: new KeptLog(),
      metrics: new CountingMetrics(),
      saveIdentity: () => Promise.resolve(),
      onFailed: ({ kind }) => assert.fail(kind),
    });
    return new QuicMember({ nodeId, address: transport.address, driver });
  }

  /** Resolves when something holds after a change that this node hears of. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#look = () => {
      if (holds()) done.resolve();
    };
    const late = () => done.reject(new Error(`${what}: not within ${LIMIT_MS} ms`));
    const timer = setTimeout(late, LIMIT_MS);
    this.#look();
    await done.promise.finally(() => clearTimeout(timer));
  }

  standing(other: QuicMember): string | undefined {
    return this.driver.find(other.nodeId)?.standing;
  }
}

Deno.test("Three nodes find each other over QUIC, tell each other values, and miss the one that falls silent", () =>
  QuicWorld.run({}, async (world) => {
    const [one, two, three] = [
      await QuicMember.open(world),
      await QuicMember.open(world),
      await QuicMember.open(world),
    ];
    const members = [one, two, three];
    try {
      two.driver.join([one]);
      three.driver.join([one]);
      for (const member of members) {
        const others = members.filter((other) => other !== member);
        await member.until(
          "all are alive",
          () => others.every((other) => member.standing(other) === "alive"),
        );
      }
      // One that rides on datagrams and one that takes a frame.
      two.driver.publish("load", Uint8Array.of(7));
      two.driver.publish("inventory.0", new Uint8Array(8_000));
      const values = () => three.driver.values(two.nodeId);
      await three.until(
        "the values came",
        () => values().get("load")?.[0] === 7 && values().get("inventory.0")?.length === 8_000,
      );
      two.driver.close();
      await one.until("the silent one is down", () => one.standing(two) === "down");
      await three.until("the silent one is down", () => three.standing(two) === "down");
      // Not taken down with it, whatever a loaded machine made them doubt for a moment.
      await one.until("the other is alive", () => one.standing(three) === "alive");
      // A farewell needs no waiting for silence.
      await Promise.all([
        three.driver.leave(),
        one.until("it left", () => one.standing(three) === "left"),
      ]);
    } finally {
      for (const { driver } of members) driver.close();
    }
  }));
