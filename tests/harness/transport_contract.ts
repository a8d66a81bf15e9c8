/**
 * What every {@link Transport} must do, whatever carries it. A test file registers the suite once per implementation.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isEdgeError, type NodeId } from "../../src/base/mod.ts";
import type { PeerAddress, PeerStream, Transport, TransportHandlers } from "../../src/ports/mod.ts";
import {
  CHANNEL_FRAME_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  type FrameChannel,
  STREAM_FRAME_BYTES_MAX,
} from "../../src/protocol/mod.ts";
import type { TransportLimits } from "../../src/transport/mod.ts";

/** Nodes that can reach each other without any faults. */
export interface TransportWorld {
  /** Ids are the world's own affair; they differ. */
  open(handlers: TransportHandlers): Promise<{ nodeId: NodeId; transport: Transport }>;
  /** An address where nobody listens. */
  readonly deadAddress: string;
}

/** Runs `use` with a fresh world and takes it down, closing every transport. */
export type ProvideWorld = (
  limits: Partial<TransportLimits>,
  use: (world: TransportWorld) => Promise<void>,
) => Promise<void>;

/** A node that remembers what it was told, and wakes whoever waits for it. */
export class RecordingNode implements TransportHandlers {
  readonly frames: Array<{ from: NodeId; channel: FrameChannel; text: string }> = [];
  readonly datagrams: Array<{ from: NodeId; bytes: Uint8Array }> = [];
  readonly streams: PeerStream[] = [];
  readonly failures: Array<{ to: NodeId; what: string }> = [];
  readonly lost: NodeId[] = [];
  nodeId = "" as NodeId;
  #transport: Transport | undefined;
  readonly #waiting = new Set<() => void>();

  get transport(): Transport {
    assert.ok(this.#transport, "The node is not open");
    return this.#transport;
  }

  set transport(transport: Transport) {
    this.#transport = transport;
  }

  get at(): PeerAddress {
    return { nodeId: this.nodeId, address: this.transport.address };
  }

  onFrame(from: NodeId, channel: FrameChannel, bytes: Uint8Array): void {
    this.frames.push({ from, channel, text: new TextDecoder().decode(bytes) });
    this.#change();
  }

  onDatagram(from: NodeId, bytes: Uint8Array): void {
    this.datagrams.push({ from, bytes: bytes.slice() });
    this.#change();
  }

  onStream(stream: PeerStream): void {
    this.streams.push(stream);
    this.#change();
  }

  onSendFailed(to: NodeId, what: string): void {
    this.failures.push({ to, what });
    this.#change();
  }

  onConnectionLost(peer: NodeId): void {
    this.lost.push(peer);
    this.#change();
  }

  send(to: PeerAddress, text: string, channel: FrameChannel = "raft"): void {
    this.transport.sendFrame(to, { channel, bytes: new TextEncoder().encode(text) });
  }

  /** Resolves as soon as something that was told makes `holds` true. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  texts(channel: FrameChannel = "raft"): string[] {
    return this.frames.filter((frame) => frame.channel === channel).map(({ text }) => text);
  }

  #change(): void {
    for (const wake of [...this.#waiting]) wake();
    this.#waiting.clear();
  }
}

/** A node of `world` with its recorder. */
export async function openNode(world: TransportWorld): Promise<RecordingNode> {
  const node = new RecordingNode();
  const { nodeId, transport } = await world.open(node);
  node.nodeId = nodeId;
  node.transport = transport;
  return node;
}

/** Asserts that `promise` fails with an error of that code. */
export async function assertCode(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isEdgeError(error), String(error));
    assert.equal(error.code, code);
    return true;
  });
}

type TestWorld = (
  claim: string,
  body: (world: TransportWorld) => Promise<void>,
  limits?: Partial<TransportLimits>,
) => void;

const NEVER = new AbortController().signal;
const FIRST = new Uint8Array([7]);

export function testTransport(kind: string, provide: ProvideWorld): void {
  const test: TestWorld = (claim, body, limits = {}) =>
    Deno.test(`${kind} ${claim}`, () => provide(limits, body));
  testFrames(test);
  testDatagrams(test);
  testFailures(test);
  testConnections(test);
  testStreams(test);
  testStreamEnds(test);
}

function testFrames(test: TestWorld): void {
  test("carries frames of each channel in order and says who sent them", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const sent = Array.from({ length: 300 }, (_, index) => `frame ${index}`);
    for (const text of sent) {
      one.send(two.at, text);
      one.send(two.at, `m ${text}`, "membership");
    }
    await two.until(() => two.frames.length === 600);
    assert.deepEqual(two.texts(), sent);
    assert.deepEqual(two.texts("membership"), sent.map((text) => `m ${text}`));
    assert.ok(two.frames.every(({ from }) => from === one.nodeId));
    assert.deepEqual(one.failures, []);
  });

  test("answers over the connection of the other side without an address", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    one.send(two.at, "ping");
    await two.until(() => two.frames.length === 1);
    two.send({ nodeId: one.nodeId, address: "" }, "pong");
    await one.until(() => one.frames.length === 1);
    assert.deepEqual(one.texts(), ["pong"]);
  });

  test("carries frames of the largest size and empty ones", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const large = "x".repeat(CHANNEL_FRAME_BYTES_MAX);
    for (const text of ["", large, ""]) one.send(two.at, text);
    await two.until(() => two.frames.length === 3);
    assert.deepEqual(two.texts().map((text) => text.length), [0, large.length, 0]);
    assert.throws(() => one.send(two.at, large + "x"));
  });

  test("keeps its own copy of what it was given", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const bytes = new TextEncoder().encode("before");
    one.transport.sendFrame(two.at, { channel: "raft", bytes });
    bytes.fill(0);
    await two.until(() => two.frames.length === 1);
    assert.deepEqual(two.texts(), ["before"]);
  });

  test("drops what its queue can't hold, and says so", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    for (let index = 0; index < 100; index++) one.send(two.at, `${index}`);
    assert.deepEqual(one.failures, [], "a call must not call back");
    await one.until(() => one.failures.length === 92);
    await two.until(() => two.frames.length === 8);
    assert.deepEqual(two.texts(), ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert.ok(one.failures.every(({ to, what }) => to === two.nodeId && what === "raft"));
  }, { channelQueueFramesMax: 8 });
}

function testDatagrams(test: TestWorld): void {
  test("carries datagrams up to the limit", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const large = new Uint8Array(DATAGRAM_BYTES_MAX).fill(7);
    one.transport.sendDatagram(two.at, large);
    await two.until(() => two.datagrams.length === 1);
    assert.deepEqual(two.datagrams, [{ from: one.nodeId, bytes: large }]);
    assert.throws(() => one.transport.sendDatagram(two.at, new Uint8Array(DATAGRAM_BYTES_MAX + 1)));
  });
}

function testFailures(test: TestWorld): void {
  test("reports what it can't send to a dead address", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const dead = { nodeId: two.nodeId, address: world.deadAddress };
    one.send(dead, "a");
    one.send(dead, "b", "membership");
    one.transport.sendDatagram(dead, new Uint8Array(1));
    const opening = one.transport.openStream(dead, NEVER);
    assert.deepEqual(one.failures, []);
    await assertCode(opening, "peer_lost");
    await one.until(() => one.failures.length === 3);
    const kinds = one.failures.map(({ what }) => what).sort();
    assert.deepEqual(kinds, ["datagram", "membership", "raft"]);
    assert.deepEqual(one.lost, []);
  }, { dialTimeoutMs: 50 });

  test("does not take one node for another", async (world) => {
    const [one, two, three] = [await openNode(world), await openNode(world), await openNode(world)];
    one.send({ nodeId: three.nodeId, address: two.transport.address }, "for three");
    await one.until(() => one.failures.length === 1);
    assert.deepEqual(one.failures, [{ to: three.nodeId, what: "raft" }]);
    assert.deepEqual([...two.frames, ...three.frames], []);
  }, { dialTimeoutMs: 300 });

  test("needs a connection or an address", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const nowhere = { nodeId: two.nodeId, address: "" };
    one.send(nowhere, "a");
    await assertCode(one.transport.openStream(nowhere, NEVER), "peer_lost");
    await one.until(() => one.failures.length === 1);
    assert.deepEqual(one.failures, [{ to: two.nodeId, what: "raft" }]);
  });

  test("sends nothing to itself", async (world) => {
    const one = await openNode(world);
    one.send(one.at, "a");
    await one.until(() => one.failures.length === 1);
    assert.deepEqual(one.frames, []);
  });

  test("gives up opening a stream when its caller does", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const abort = new AbortController();
    const dead = { nodeId: two.nodeId, address: world.deadAddress };
    const opening = one.transport.openStream(dead, abort.signal);
    abort.abort(new Error("changed my mind"));
    await assert.rejects(opening, /changed my mind/);
  }, { dialTimeoutMs: 300 });
}

function testConnections(test: TestWorld): void {
  test("keeps one connection when both sides dial at once", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    for (let index = 0; index < 50; index++) {
      one.send(two.at, `to two ${index}`);
      two.send(one.at, `to one ${index}`);
    }
    await Promise.all([
      one.until(() => one.frames.length === 50),
      two.until(() => two.frames.length === 50),
    ]);
    assert.deepEqual(two.texts(), Array.from({ length: 50 }, (_, index) => `to two ${index}`));
    const [[here], [there]] = [one.transport.connections(), two.transport.connections()];
    assert.equal(one.transport.connections().length, 1);
    assert.equal(two.transport.connections().length, 1);
    assert.equal(here?.peer, two.nodeId);
    assert.deepEqual([here?.direction, there?.direction].sort(), ["accepted", "dialed"]);
    assert.deepEqual([one.lost, two.lost], [[], []]);
  });

  test("tells both sides of a disconnect and connects again", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    one.send(two.at, "a");
    await two.until(() => two.frames.length === 1);
    two.transport.disconnect(one.nodeId);
    assert.deepEqual(two.lost, [], "a call must not call back");
    await Promise.all([
      one.until(() => one.lost.includes(two.nodeId)),
      two.until(() => two.lost.includes(one.nodeId)),
    ]);
    assert.deepEqual(two.transport.connections(), []);
    one.send(two.at, "b");
    await two.until(() => two.frames.length === 2);
  });

  test("says goodbye when it closes, and calls nothing afterwards", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    one.send(two.at, "a");
    await two.until(() => two.frames.length === 1);
    await two.transport.close();
    await one.until(() => one.lost.length === 1);
    two.send(one.at, "from the grave");
    await two.transport.close();
    assert.deepEqual([two.lost, two.failures, one.texts()], [[], [], []]);
    assert.deepEqual(one.transport.connections(), []);
  });
}

/** A stream from `one` to `two`, both ends, on which `one` has spoken. */
async function openPair(one: RecordingNode, two: RecordingNode): Promise<[PeerStream, PeerStream]> {
  const count = two.streams.length;
  const here = await one.transport.openStream(two.at, NEVER);
  await here.write(FIRST);
  await two.until(() => two.streams.length > count);
  const there = two.streams.at(-1);
  assert.ok(there);
  assert.deepEqual(await there.read(), FIRST);
  return [here, there];
}

function testStreams(test: TestWorld): void {
  test("carries frames both ways over a stream, and its ends", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const [here, there] = await openPair(one, two);
    assert.deepEqual([here.peer, there.peer], [two.nodeId, one.nodeId]);
    await here.write(new Uint8Array([1]));
    await here.write(new Uint8Array(0));
    await here.end();
    assert.deepEqual(await there.read(), new Uint8Array([1]));
    assert.deepEqual(await there.read(), new Uint8Array(0));
    assert.equal(await there.read(), undefined);
    await there.write(new Uint8Array([2, 3]));
    assert.deepEqual(await here.read(), new Uint8Array([2, 3]));
    await there.end();
    assert.equal(await here.read(), undefined);
  });

  test("refuses a frame that is too long for a stream", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const [here, there] = await openPair(one, two);
    await assertCode(here.write(new Uint8Array(STREAM_FRAME_BYTES_MAX + 1)), "malformed_frame");
    await here.write(new Uint8Array([5]));
    assert.deepEqual(await there.read(), new Uint8Array([5]));
  });

  test("carries a frame that is longer than the window of a stream", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const [here, there] = await openPair(one, two);
    const written = here.write(new Uint8Array(3_000_000).fill(9));
    assert.equal((await there.read())?.length, 3_000_000);
    await written;
  });

  test("lets a writer wait while the other side does not read", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const [here, there] = await openPair(one, two);
    let written = 0;
    const writing = (async () => {
      for (; written < 64; written++) await here.write(new Uint8Array(1_000_000));
    })();
    // Another stream and a channel get through meanwhile.
    const [other, otherThere] = await openPair(one, two);
    await other.write(new Uint8Array([1]));
    assert.deepEqual(await otherThere.read(), new Uint8Array([1]));
    one.send(two.at, "not held up");
    await two.until(() => two.frames.length === 1);
    assert.ok(written < 40, `${written} MB written while nobody reads`);
    for (let index = 0; index < 64; index++) await there.read();
    await writing;
  });

  test("bounds the streams to one peer", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const pairs = [];
    for (let index = 0; index < 4; index++) pairs.push(await openPair(one, two));
    await assertCode(one.transport.openStream(two.at, NEVER), "queue_full");
    for (const [here, there] of pairs) {
      await here.end();
      assert.equal(await there.read(), undefined);
      await there.end();
      assert.equal(await here.read(), undefined);
    }
    await openPair(one, two);
    one.send(two.at, "channels have room of their own");
    await two.until(() => two.frames.length === 1);
  }, { streamsPerPeerMax: 4 });
}

function testStreamEnds(test: TestWorld): void {
  test("ends both directions of a stream that is reset", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const [here, there] = await openPair(one, two);
    const reading = assertCode(there.read(), "peer_lost");
    here.reset();
    here.reset();
    await reading;
    await assertCode(here.read(), "peer_lost");
    await assertCode(here.write(new Uint8Array(1)), "peer_lost");
    await assertCode(there.write(new Uint8Array(1)), "peer_lost");
  });

  test("ends a stream with its connection", async (world) => {
    const [one, two] = [await openNode(world), await openNode(world)];
    const [here, there] = await openPair(one, two);
    const readings = [here.read(), there.read()].map((read) => assertCode(read, "peer_lost"));
    await two.transport.close();
    await Promise.all(readings);
    await assertCode(here.write(new Uint8Array(1)), "peer_lost");
    there.reset();
    here.reset();
  });
}
