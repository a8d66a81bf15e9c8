import assert from "node:assert/strict";
import type { PeerAddress } from "../../src/ports/mod.ts";
import { QuicWorld } from "../harness/quic_world.ts";
import { openNode, type RecordingNode } from "../harness/transport_contract.ts";
import { UdpSwitch } from "../harness/udp_switch.ts";

const LIMITS = {
  idleMs: 600,
  keepAliveMs: 100,
  dialTimeoutMs: 250,
  dialBackoffMs: { first: 20, max: 50 },
};

/** Two nodes that reach each other through a switch. */
interface Scene {
  readonly wires: UdpSwitch;
  readonly one: RecordingNode;
  readonly two: RecordingNode;
  readonly toOne: PeerAddress;
  readonly toTwo: PeerAddress;
}

async function play(
  options: { limits?: typeof LIMITS; seed?: number },
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using wires = new UdpSwitch({ seed: options.seed ?? 1 });
  await QuicWorld.run(options.limits ?? {}, async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const plug = (name: string, node: RecordingNode): PeerAddress => ({
      nodeId: node.nodeId,
      address: wires.plug(name, Number(node.transport.address.split(":").at(-1))),
    });
    await use({ wires, one, two, toOne: plug("one", one), toTwo: plug("two", two) });
  });
}

/** Sends until one arrives: what is sent meanwhile fails, as it must. */
async function sendUntilHeard(
  from: RecordingNode,
  to: PeerAddress,
  hearer: RecordingNode,
): Promise<void> {
  const count = hearer.frames.length;
  while (hearer.frames.length === count) {
    const failed = from.failures.length;
    from.send(to, "are you there");
    await Promise.race([
      from.until(() => from.failures.length > failed),
      hearer.until(() => hearer.frames.length > count),
    ]);
  }
}

for (const kind of ["both ways", "one way"] as const) {
  Deno.test(`A connection that is cut ${kind} is lost, and made anew after healing`, () =>
    play({ limits: LIMITS }, async ({ wires, one, two, toOne, toTwo }) => {
      // A busy machine may take longer for the first dial than these limits allow.
      await sendUntilHeard(one, toTwo, two);
      const stream = await one.transport.openStream(toTwo, new AbortController().signal);
      const reading = stream.read().catch((error) => error);
      wires.set("one", "two", { cut: true });
      if (kind === "both ways") wires.set("two", "one", { cut: true });
      await Promise.all([
        one.until(() => one.lost.includes(two.nodeId)),
        two.until(() => two.lost.includes(one.nodeId)),
      ]);
      assert.equal((await reading).code, "peer_lost");
      const failed = one.failures.length;
      one.send(toTwo, "into the void");
      await one.until(() => one.failures.length > failed);
      wires.heal();
      await sendUntilHeard(two, toOne, one);
      await sendUntilHeard(one, toTwo, two);
      assert.deepEqual(one.transport.connections().map(({ peer }) => peer), [two.nodeId]);
      assert.deepEqual(two.transport.connections().map(({ peer }) => peer), [one.nodeId]);
    }));
}

Deno.test("A connection that only one side has lost does not keep the other one from coming back", () =>
  // One side notices nothing for a minute: so it is not its own patience that ends the old connection.
  play({ limits: { ...LIMITS, idleMs: 60_000 } }, async ({ wires, one, two, toOne, toTwo }) => {
    const [small, large] = one.nodeId < two.nodeId ? [one, two] : [two, one];
    const [toSmall, toLarge] = small === one ? [toOne, toTwo] : [toTwo, toOne];
    const [smallName, largeName] = small === one ? ["one", "two"] : ["two", "one"];
    await sendUntilHeard(small, toLarge, large);
    // The goodbye is lost on the way.
    wires.set(largeName, smallName, { cut: true });
    large.transport.disconnect(small.nodeId);
    await large.until(() => large.lost.length === 1);
    wires.heal();
    assert.equal(small.transport.connections().length, 1);
    await sendUntilHeard(large, toSmall, small);
    await sendUntilHeard(small, toLarge, large);
  }));

Deno.test("Frames arrive whole and in order over a line that loses, repeats and mixes up", () =>
  play({}, async ({ wires, one, two, toTwo }) => {
    one.send(toTwo, "0 ");
    await two.until(() => two.frames.length === 1);
    wires.setAll({ lossPercent: 10, duplicatePercent: 5, jitterMs: 3 });
    const sent = Array.from({ length: 300 }, (_, index) => `${index} ${"x".repeat(index)}`);
    for (const text of sent.slice(1)) one.send(toTwo, text);
    await two.until(() => two.frames.length === sent.length);
    assert.deepEqual(two.texts(), sent);
    assert.deepEqual(one.failures, []);
    const { droppedPackets, latePackets, repeatedPackets } = wires.spoiled();
    assert.ok(droppedPackets > 0 && latePackets > 0 && repeatedPackets > 0, "the line was good");
  }));

Deno.test("Frames of two nodes that dial each other at once all arrive, over one connection", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    await play({ seed }, async ({ wires, one, two, toOne, toTwo }) => {
      wires.setAll({ delayMs: 5, jitterMs: 5 + seed * 2 });
      const sent = Array.from({ length: 40 }, (_, index) => `${index}`);
      for (const text of sent) {
        one.send(toTwo, text);
        two.send(toOne, text);
      }
      await Promise.all([
        one.until(() => one.frames.length === sent.length),
        two.until(() => two.frames.length === sent.length),
      ]);
      assert.deepEqual([one.texts(), two.texts()], [sent, sent]);
      const rows = [...one.transport.connections(), ...two.transport.connections()];
      assert.deepEqual(rows.map(({ direction }) => direction).sort(), ["accepted", "dialed"]);
      assert.deepEqual([one.lost, two.lost, one.failures, two.failures], [[], [], [], []]);
    });
  }
});
