import assert from "node:assert/strict";
import {
  CLUSTER_SERVER_NAME,
  createAuthority,
  generateSigningKey,
  issueCertificate,
  type NodeIdentity,
  nodeIdentity,
} from "../../src/transport/identity/mod.ts";
import { type LinkCount, UdpSwitch } from "../harness/udp_switch.ts";

/** A node that keeps what it hears, and from where. */
class Listener implements Disposable {
  readonly port: number;
  readonly #socket: Deno.DatagramConn;

  constructor() {
    this.#socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    this.port = portOf(this.#socket.addr);
  }

  async send(address: string, text: string): Promise<void> {
    const [hostname = "", port] = address.split(":");
    const to = { transport: "udp", hostname, port: Number(port) } as const;
    await this.#socket.send(new TextEncoder().encode(text), to);
  }

  /** The next datagram as text, and the address it came from. */
  async hear(): Promise<{ readonly text: string; readonly from: string }> {
    const [bytes, address] = await this.#socket.receive();
    return { text: new TextDecoder().decode(bytes), from: `127.0.0.1:${portOf(address)}` };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

function portOf(address: Deno.Addr): number {
  assert(address.transport === "udp");
  return address.port;
}

/** Resolves when a switch has taken so many datagrams from a for b. */
async function heardAll(network: UdpSwitch, packets: number): Promise<void> {
  while ((countOf(network, "a", "b")?.packets ?? 0) < packets) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function countOf(network: UdpSwitch, from: string, to: string): LinkCount | undefined {
  return network.counts().find((count) => count.from === from && count.to === to);
}

Deno.test("UdpSwitch brings answers back from the address that was asked, both ways at once", async () => {
  await using network = new UdpSwitch();
  using a = new Listener();
  using b = new Listener();
  const atA = network.plug("a", a.port);
  const atB = network.plug("b", b.port);
  await a.send(atB, "from a");
  const asked = await b.hear();
  await b.send(atA, "from b");
  const other = await a.hear();
  assert.deepEqual([asked.text, other.text], ["from a", "from b"]);
  await b.send(asked.from, "answer of b");
  assert.deepEqual(await a.hear(), { text: "answer of b", from: atB });
  await a.send(other.from, "answer of a");
  assert.deepEqual(await b.hear(), { text: "answer of a", from: atA });
  assert.deepEqual(network.counts(), [
    {
      from: "a",
      to: "b",
      packets: 2,
      bytes: 17,
      droppedPackets: 0,
      latePackets: 0,
      repeatedPackets: 0,
    },
    {
      from: "b",
      to: "a",
      packets: 2,
      bytes: 17,
      droppedPackets: 0,
      latePackets: 0,
      repeatedPackets: 0,
    },
  ]);
});

Deno.test("UdpSwitch cuts one direction alone, and heals", async () => {
  await using network = new UdpSwitch();
  using a = new Listener();
  using b = new Listener();
  const atA = network.plug("a", a.port);
  const atB = network.plug("b", b.port);
  network.set("a", "b", { cut: true });
  await a.send(atB, "lost");
  await b.send(atA, "arrives");
  assert.equal((await a.hear()).text, "arrives");
  network.heal();
  await a.send(atB, "after");
  assert.equal((await b.hear()).text, "after");
  assert.deepEqual(countOf(network, "a", "b")?.droppedPackets, 1);
});

Deno.test("UdpSwitch loses and repeats the share it was told, the same one for the same seed", async () => {
  const dropped: number[] = [];
  for (const seed of [7, 7, 8]) {
    await using network = new UdpSwitch({ seed });
    using a = new Listener();
    using b = new Listener();
    network.plug("a", a.port);
    const atB = network.plug("b", b.port);
    network.setAll({ lossPercent: 20 });
    // As many as fit into a socket's buffer, in case nobody reads until the last one is sent.
    for (let count = 0; count < 200; count++) await a.send(atB, String(count));
    await heardAll(network, 200);
    dropped.push(countOf(network, "a", "b")?.droppedPackets ?? 0);
  }
  const [first = 0, again, other] = dropped;
  assert(first > 20 && first < 60, String(first));
  assert.equal(first, again);
  assert.notEqual(first, other);
});

Deno.test("UdpSwitch repeats, delays, holds back what exceeds a bandwidth, and captures", async () => {
  await using network = new UdpSwitch();
  using a = new Listener();
  using b = new Listener();
  network.plug("a", a.port);
  const atB = network.plug("b", b.port);
  network.capture(1_000);
  network.set("a", "b", { duplicatePercent: 100, delayMs: 30, bytesPerSecond: 100_000 });
  const startMs = performance.now();
  await a.send(atB, "x".repeat(1_000));
  const copies = [await b.hear(), await b.hear()];
  // 10 ms for 1,000 bytes at 100,000 a second, and the delay.
  assert(performance.now() - startMs >= 39);
  assert.equal(copies[0]?.text, copies[1]?.text);
  await a.send(atB, "y");
  await b.hear();
  const captured = network.captured().map(({ from, to, bytes }) => [from, to, bytes.length]);
  assert.deepEqual(captured, [["a", "b", 1_000]]);
});

Deno.test("UdpSwitch carries QUIC between two endpoints that dial each other, and breaks it when cut", async () => {
  await using network = new UdpSwitch();
  const nowMs = Date.now();
  const authority = await createAuthority(nowMs);
  const key = await generateSigningKey();
  const { publicKey } = key;
  const certificate = await issueCertificate(authority, { publicKey, nowMs });
  const identity = await nodeIdentity({ key, certificate, authority, nowMs });
  await using a = new QuicNode(identity);
  await using b = new QuicNode(identity);
  const atA = network.plug("a", a.port);
  const atB = network.plug("b", b.port);
  network.setAll({ delayMs: 5, jitterMs: 5, lossPercent: 5, duplicatePercent: 5 });
  assert.deepEqual(await Promise.all([a.ask(atB, "to b"), b.ask(atA, "to a")]), ["to b", "to a"]);
  network.setAll({ cut: true });
  await assert.rejects(a.ask(atB, "into nothing"), /timed out/);
});

/** A QUIC endpoint that sends each stream's text back. */
class QuicNode implements AsyncDisposable {
  readonly #endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  readonly #listener: Deno.QuicListener;
  readonly #identity: NodeIdentity;
  readonly #serving: Promise<void>;

  constructor(identity: NodeIdentity) {
    this.#identity = identity;
    this.#listener = this.#endpoint.listen({
      cert: identity.certificatePem,
      key: identity.privateKeyPem,
      alpnProtocols: ["echo"],
    });
    this.#serving = this.#serve().catch(() => {}); // Stopped, or its peer is gone.
  }

  get port(): number {
    return this.#endpoint.addr.port;
  }

  /** Sends a text over a connection of its own and returns what came back. */
  async ask(address: string, text: string): Promise<string> {
    const connection = await Deno.connectQuic({
      hostname: "127.0.0.1",
      port: Number(address.split(":")[1]),
      serverName: CLUSTER_SERVER_NAME,
      caCerts: [this.#identity.authorityPem],
      alpnProtocols: ["echo"],
      endpoint: this.#endpoint,
      maxIdleTimeout: 200,
    });
    const stream = await connection.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
    const answer = await new Response(stream.readable).text();
    connection.close({ closeCode: 0, reason: "" });
    await connection.closed;
    return answer;
  }

  async #serve(): Promise<void> {
    for await (const incoming of this.#listener) {
      const connection = await incoming.accept();
      for await (const { readable, writable } of connection.incomingBidirectionalStreams) {
        await readable.pipeTo(writable);
        break;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.stop();
    this.#endpoint.close();
    await this.#serving;
  }
}
