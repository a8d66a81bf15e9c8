import assert from "node:assert/strict";
import { RecordingNode } from "../harness/transport_contract.ts";
import { QuicWorld } from "../harness/quic_world.ts";

const HANDSHAKES = 500;
const NEWCOMERS = 20;
const LET_IN_MS_MAX = 1_000;
/** Bytes of a QUIC packet before its destination's id: flags, version, length. */
const ID_LENGTH_AT = 5;

/** First packets of that many handshakes, which nobody goes on with: they were sent to a port that only listens. */
async function firstPackets(count: number): Promise<readonly Uint8Array[]> {
  const sink = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const port = sink.addr.transport === "udp" ? sink.addr.port : 0;
  const packets = new Map<string, Uint8Array>();
  try {
    for (let at = 0; at < count; at++) {
      const dialed = Deno.connectQuic<false>({
        ...{ hostname: "127.0.0.1", port, endpoint },
        serverName: "cluster.odist",
        alpnProtocols: ["odist/1"],
      });
      dialed.catch(() => {});
      while (packets.size <= at) {
        const [bytes] = await sink.receive();
        const idLength = bytes[ID_LENGTH_AT] ?? 0;
        const id = bytes.subarray(ID_LENGTH_AT + 1, ID_LENGTH_AT + 1 + idLength).toHex();
        if (!packets.has(id)) packets.set(id, bytes.slice());
      }
    }
    return [...packets.values()];
  } finally {
    endpoint.close();
    sink.close();
  }
}

Deno.test(`${HANDSHAKES} handshakes from one address that nobody goes on with keep no other address out`, () =>
  QuicWorld.run({}, async (world) => {
    const packets = await firstPackets(HANDSHAKES);
    const node = new RecordingNode();
    const { transport, nodeId } = await world.open(node);
    const at = { nodeId, address: transport.address };
    const flooder = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.66", port: 0 });
    const port = Number(transport.address.split(":").at(-1));
    try {
      let answers = 0;
      const answered = (async () => {
        for await (const _ of flooder) answers++;
      })();
      for (const packet of packets) {
        await flooder.send(packet, { transport: "udp", hostname: "127.0.0.1", port });
      }
      const waits: number[] = [];
      for (let count = 0; count < NEWCOMERS; count++) {
        const newcomer = new RecordingNode();
        const hostname = `127.0.1.${count + 1}`;
        newcomer.transport = (await world.open(newcomer, { hostname })).transport;
        const startMs = performance.now();
        const text = `newcomer ${count}`;
        while (!node.texts().includes(text)) {
          const failed = newcomer.failures.length;
          newcomer.send(at, text);
          await Promise.race([
            newcomer.until(() => newcomer.failures.length > failed),
            node.until(() => node.texts().includes(text)),
          ]);
        }
        waits.push(performance.now() - startMs);
      }
      flooder.close();
      await answered;
      assert.ok(answers > 0, "The flood was heard");
      const worstMs = Math.max(...waits);
      console.log(`${waits.length} let in, the slowest after ${worstMs.toFixed(0)} ms`);
      assert.ok(worstMs < LET_IN_MS_MAX, `${worstMs} ms`);
    } finally {
      try {
        flooder.close();
      } catch {
        // It was closed when all went well.
      }
    }
  }));
