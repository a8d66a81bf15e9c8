import assert from "node:assert/strict";
import { QuicWorld } from "../harness/quic_world.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { openNode, RecordingNode } from "../harness/transport_contract.ts";

/** A dial that waits for a dead address takes the whole of it. */
const DIAL_TIMEOUT_MS = 20_000;

Deno.test("Of a peer's addresses the one that answers is used, wherever it stands, and is remembered", () =>
  QuicWorld.run({ dialTimeoutMs: DIAL_TIMEOUT_MS }, async (world) => {
    const [one, other] = [await openNode(world), await openNode(world)];
    const addresses = ["10.255.255.1:9", world.deadAddress, other.transport.address];
    const startedMs = performance.now();
    one.send({ ...other.at, address: addresses.join(",") }, "a");
    await other.until(() => other.frames.length === 1);
    assert.ok(performance.now() - startedMs < DIAL_TIMEOUT_MS / 2, "nobody waits for the dead");
    one.transport.disconnect(other.at.nodeId);
    await other.until(() => other.lost.length === 1);
    // Others have been told nonsense meanwhile.
    one.send({ ...other.at, address: "10.255.255.1:9" }, "b");
    await other.until(() => other.frames.length === 2);
    assert.deepEqual(other.texts(), ["a", "b"]);
  }));

Deno.test("A member is found at an address that only a user knows, and whoever else is there is nobody's fault", () =>
  QuicWorld.run({}, async (world) => {
    const telemetry = new RecordingTelemetry();
    const [log, metrics] = [telemetry, telemetry];
    const one = new RecordingNode();
    const opened = await world.open(one, { log, metrics });
    one.transport = opened.transport;
    const [other, third] = [await openNode(world), await openNode(world)];
    opened.transport.hint(third.transport.address);
    one.send({ ...other.at, address: "" }, "nobody knows where");
    await one.until(() => one.failures.length === 1);
    assert.equal(metrics.faults("peer_refused"), 0);
    assert.equal(log.of("peer_not_there").length, 1);
    one.send({ ...third.at, address: "" }, "a");
    await third.until(() => third.frames.length === 1);
    // Whoever was found there is nobody else.
    const fourth = await openNode(world);
    one.send({ ...fourth.at, address: "" }, "nobody knows where");
    await one.until(() => one.failures.length === 2);
    assert.equal(log.of("peer_not_there").length, 1);
    opened.transport.hint(other.transport.address, other.at.nodeId);
    // The back-off after the first dial.
    for (let tries = 0; other.frames.length === 0 && tries < 100; tries++) {
      one.send({ ...other.at, address: "" }, "b");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(other.texts()[0], "b");
  }));

Deno.test("A member whose host's name leads elsewhere from now on is found there", () =>
  QuicWorld.run({ dialBackoffMs: { first: 1, max: 1 } }, async (world) => {
    let place = "127.0.0.1";
    const asked: string[] = [];
    const one = new RecordingNode();
    const opened = await world.open(one, {
      lookUp: (hostname) => {
        asked.push(hostname);
        return Promise.resolve([{ address: place, family: 4 }]);
      },
    });
    one.transport = opened.transport;
    const other = new RecordingNode();
    const before = await world.open(other);
    const port = Number(before.transport.address.split(":").at(-1));
    const at = { nodeId: before.nodeId, address: `laptop.example:${port}` };
    one.send(at, "a");
    await other.until(() => other.frames.length === 1);
    assert.deepEqual(asked, ["laptop.example"]);
    await before.transport.close();
    await one.until(() => one.lost.length === 1);
    const { identity } = before;
    await world.open(other, { identity, hostname: "127.0.0.2", port });
    place = "127.0.0.2";
    const untilMs = performance.now() + DIAL_TIMEOUT_MS;
    while (other.frames.length === 1 && performance.now() < untilMs) {
      one.send(at, "b");
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(other.texts().at(1), "b");
    const [connection] = opened.transport.connections();
    assert.equal(connection?.remoteAddress, `127.0.0.2:${port}`);
  }));
