import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { type Digest, type NodeId, UnavailableError } from "../base/mod.ts";
import { MessageStream, SHARD_PURPOSE, TUNNEL_PURPOSE } from "../calls/mod.ts";
import type { BlobRange, BlobSource, LoadedModel, RangeStore } from "../ports/mod.ts";
import type { SchedulerView } from "../core/scheduler/mod.ts";
import type { SlotRequest } from "../slots/scheduler_driver.ts";
import { HandClock, settle } from "../../tests/harness/hand_clock.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import { SHARD_SILENCE_MS } from "./limits.ts";
import { ShardServer, TunnelServer } from "./shard_server.ts";
import { writeReference } from "./weight_references.ts";

const [LEADER, SELF, STRANGER] = ["aa", "bb", "cc"] as unknown as [NodeId, NodeId, NodeId];
const BLOB = `sha256:${"ab".repeat(32)}` as Digest;
const FILE = new Uint8Array(10_000).map((_, index) => index);
const never = () => {};

/** A node that lends workers: each answers with what it hears, on a real port. */
class LendingNode implements AsyncDisposable {
  readonly clock = new HandClock();
  readonly shards: ShardServer;
  readonly tunnels: TunnelServer;
  readonly heard: Uint8Array[] = [];
  released = 0;
  memoryBytes = 0;
  isDrained = false;
  /** Whether somebody waits for the place of what was lent. */
  isInTheWay = false;
  #lentKey = "";
  part: unknown;
  deviceBytes = 0;
  device: unknown;
  /** Of the model's file here: all of it, or what was fetched. */
  holds: "file" | "nothing" = "file";
  /** What its disk waits for. */
  disk: Promise<void> = Promise.resolve();
  readonly fetched = new Map<string, Uint8Array>();
  dropped = 0;
  /** What others send when a part of the file is asked for. */
  send: (range: BlobRange) => AsyncIterable<Uint8Array> = async function* ({ offset, length }) {
    yield FILE.subarray(offset, offset + length);
  };
  readonly #exit = Promise.withResolvers<{ expected: boolean; reason: string }>();
  readonly #listeners: Deno.TcpListener[] = [];
  readonly #serving: Promise<void>[] = [];

  constructor(fileBytes: Uint8Array = FILE) {
    const { clock } = this;
    const parts = { clock, log: { log: never }, metrics: { increment: never } };
    const read = (offset: number, length: number) =>
      Promise.resolve(fileBytes.slice(offset, offset + length));
    this.shards = new ShardServer({
      ...parts as unknown as ConstructorParameters<typeof ShardServer>[0],
      isDrained: () => this.isDrained,
      self: { nodeId: SELF },
      driver: {
        acquire: (request) => Promise.resolve(this.#lend(request)),
        view: () => {
          const { isInTheWay } = this;
          const lent = { modelKey: this.#lentKey, devices: [], isInTheWay };
          return { instances: [lent] } as unknown as SchedulerView;
        },
      },
      devices: { roomOn: (name) => name === "Vulkan0" ? this.deviceBytes : 0 },
      blobs: {
        find: async () => {
          await this.disk;
          return this.holds === "file" ? { blobBytes: fileBytes.length } : undefined;
        },
        open: () => Promise.resolve({ blobBytes: fileBytes.length, read, close: never }),
      },
      ranges: this.#ranges(),
      peers: {
        bring: async (_blob, download) => {
          const limits = {} as BlobSource["limits"];
          const read = (range: BlobRange) => this.send(range);
          await download({ limits, check: () => Promise.resolve(), read, retry: never });
          return true;
        },
      },
    });
    const { metrics } = parts;
    type Metrics = ConstructorParameters<typeof TunnelServer>[1];
    this.tunnels = new TunnelServer(this.shards, metrics as unknown as Metrics);
  }

  #ranges(): RangeStore {
    const keyOf = ({ offset, length }: BlobRange) => `${offset}-${length}`;
    const missing = (ranges: readonly BlobRange[]) =>
      ranges.filter((range) => !this.fetched.has(keyOf(range)));
    const read = (offset: number, length: number) =>
      Promise.resolve(FILE.slice(offset, offset + length));
    return {
      missing: (_digest, ranges) => Promise.resolve(missing(ranges)),
      open: (_digest, ranges) =>
        Promise.resolve(
          missing(ranges).length > 0 ? undefined : { blobBytes: FILE.length, read, close: never },
        ),
      write: async (_digest, range, bytes) => {
        const parts: Uint8Array[] = [];
        for await (const part of bytes) parts.push(part);
        this.fetched.set(keyOf(range), Uint8Array.from(parts.flatMap((part) => [...part])));
      },
      drop: () => {
        this.dropped++;
        this.fetched.clear();
        return Promise.resolve();
      },
    };
  }

  #lend(request: SlotRequest) {
    this.memoryBytes = request.need.memoryBytes;
    this.#lentKey = request.need.modelKey;
    this.part = request.need.part;
    this.device = request.settings.worker?.device;
    const listener = Deno.listen({
      hostname: "127.0.0.1",
      port: request.settings.worker?.port ?? 0,
    });
    this.#listeners.push(listener);
    this.#serving.push(this.#echo(listener));
    const model = { processId: 1, exited: this.#exit.promise } as unknown as LoadedModel;
    const release = () => void this.released++;
    return { model, loadNs: 0, release, lost: release };
  }

  async #echo(listener: Deno.TcpListener): Promise<void> {
    for await (const connection of listener) {
      const buffer = new Uint8Array(64 * 1024);
      try {
        for (let count = await connection.read(buffer); count !== null;) {
          this.heard.push(buffer.slice(0, count));
          await connection.write(buffer.subarray(0, count));
          count = await connection.read(buffer);
        }
      } finally {
        connection.close();
      }
    }
  }

  /** The worker's end. */
  dies(): void {
    this.#exit.resolve({ expected: false, reason: "it ended with signal SIGKILL" });
    for (const listener of this.#listeners.splice(0)) listener.close();
  }

  /** A lease as its leader holds it, the worker there. */
  async lease(shardId = "one", weights?: object, device?: object) {
    const { near, far } = streamPair(LEADER, SELF);
    const said = { shardId, name: "m", blob: BLOB, memoryBytes: 77, ...weights && { weights } };
    const opening = { purpose: SHARD_PURPOSE, ...said, ...device && { device } };
    const served = this.shards.serve(far, opening);
    const messages = new MessageStream(near);
    const granted = await messages.read();
    return { near, messages, granted, served };
  }

  /** A tunnel as its opener holds it. */
  tunnel(shardId: string, peer: NodeId = LEADER) {
    const { near, far } = streamPair(peer, SELF);
    const served = this.tunnels.serve(far, { purpose: TUNNEL_PURPOSE, shardId });
    return { near, served };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dies();
    await Promise.allSettled(this.#serving);
  }
}

const bytesFrame = (...bytes: number[]) => Uint8Array.from([0, ...bytes]);

Deno.test("A worker is lent, its memory reserved, and connections to it carried, until its lease ends", async () => {
  await using node = new LendingNode();
  const { near, granted, served } = await node.lease();
  assert.deepEqual(granted, { kind: "granted", holdsBlob: true, unpacks: true });
  assert.equal(node.memoryBytes, 77);
  const tunnel = node.tunnel("one");
  await tunnel.near.write(bytesFrame(1, 2, 3));
  assert.deepEqual(await tunnel.near.read(), bytesFrame(1, 2, 3));
  near.reset();
  await served;
  assert.equal(node.released, 1);
  await assert.rejects(tunnel.near.read(), { code: "peer_lost" });
  await tunnel.served.catch(() => {});
});

Deno.test("A worker computes on a device where there is room, and is refused where there is none", async () => {
  await using node = new LendingNode();
  node.deviceBytes = 100;
  const device = { name: "Vulkan0", bytes: 100 };
  const { messages, granted, served } = await node.lease("one", undefined, device);
  assert.equal((granted as { device: string }).device, "Vulkan0");
  assert.deepEqual([node.memoryBytes, node.device], [77, device]);
  messages.reset();
  await served;
  for (const other of [{ name: "Vulkan0", bytes: 101 }, { name: "CUDA0", bytes: 1 }]) {
    const refused = await node.lease("two", undefined, other);
    assert.equal((refused.granted as { kind: string }).kind, "refused");
    await refused.served;
  }
});

Deno.test("A tunnel without a lease, or by another peer's, reaches no worker", async () => {
  await using node = new LendingNode();
  const { near, served } = await node.lease();
  for (const [shardId, peer] of [["two", LEADER], ["one", STRANGER], ["", LEADER]] as const) {
    const tunnel = node.tunnel(shardId, peer);
    const answer = await new MessageStream(tunnel.near).read() as { kind: string; error: unknown };
    assert.equal(answer.kind, "refused", `${shardId} of ${peer}`);
    await tunnel.served;
  }
  assert.deepEqual(node.heard, []);
  near.reset();
  await served;
  const late = node.tunnel("one");
  assert.equal((await new MessageStream(late.near).read() as { kind: string }).kind, "refused");
  await late.served;
});

Deno.test("Two leaders have two workers, and one can't have two under one id", async () => {
  await using node = new LendingNode();
  const first = await node.lease();
  const { near, far } = streamPair(STRANGER, SELF);
  const said = { shardId: "one", name: "m", blob: BLOB, memoryBytes: 5 };
  const served = node.shards.serve(far, { purpose: SHARD_PURPOSE, ...said });
  assert.equal((await new MessageStream(near).read() as { kind: string }).kind, "granted");
  const [mine, theirs] = [node.shards.find(LEADER, "one"), node.shards.find(STRANGER, "one")];
  assert.ok(mine !== undefined && theirs !== undefined && mine.port !== theirs.port);
  const again = streamPair(LEADER, SELF);
  await assert.rejects(node.shards.serve(again.far, { purpose: SHARD_PURPOSE, ...said }), {
    code: "malformed_frame",
  });
  assert.equal(node.shards.find(LEADER, "one"), mine, "the first one is as it was");
  near.reset();
  first.near.reset();
  await Promise.all([served, first.served]);
  assert.equal(node.released, 2);
});

Deno.test("A leader that says nothing gives its worker back, one that beats keeps it", async () => {
  await using node = new LendingNode();
  const { messages, served } = await node.lease();
  for (let beat = 0; beat < 5; beat++) {
    await messages.write({ kind: "beat" });
    await node.clock.advance(SHARD_SILENCE_MS - 10);
  }
  assert.equal(node.released, 0);
  await node.clock.advance(SHARD_SILENCE_MS);
  await served;
  assert.equal(node.released, 1);
});

Deno.test("A worker whose node waits for its disk is given back with its lease", async () => {
  await using node = new LendingNode();
  const disk = Promise.withResolvers<void>();
  node.disk = disk.promise;
  const { near, far } = streamPair(LEADER, SELF);
  const said = { shardId: "one", name: "m", blob: BLOB, memoryBytes: 5 };
  const served = node.shards.serve(far, { purpose: SHARD_PURPOSE, ...said });
  await settle();
  near.reset();
  await served;
  assert.equal(node.released, 1);
  disk.resolve();
});

Deno.test("A leader is told when its worker is gone", async () => {
  await using node = new LendingNode();
  const { messages, served } = await node.lease();
  node.dies();
  await settle();
  assert.deepEqual(await messages.read(), { kind: "lost", reason: "it ended with signal SIGKILL" });
  messages.reset();
  await served;
  assert.equal(node.released, 1);
});

Deno.test("A node that is drained asks its leader once to do without it, and lends nothing more", async () => {
  await using node = new LendingNode();
  const { messages, served } = await node.lease();
  node.isDrained = true;
  await node.clock.advance(SHARD_SILENCE_MS - 10);
  const kinds: unknown[] = [];
  for (let count = 0; count < 4; count++) {
    kinds.push((await messages.read() as { kind: string }).kind);
  }
  assert.deepEqual(kinds.filter((kind) => kind === "leaving"), ["leaving"]);
  const second = await node.lease("two");
  assert.equal((second.granted as { kind: string }).kind, "refused");
  await second.served;
  messages.reset();
  await served;
});

Deno.test("A leader is asked once to do without a worker whose place somebody waits for", async () => {
  await using node = new LendingNode();
  const { messages, near, served } = await node.lease();
  assert.deepEqual(node.part, { leader: LEADER, weights: BLOB, comesFirst: true });
  const kindsFor = async (ms: number) => {
    const kinds: string[] = [];
    for (let passedMs = 0; passedMs < ms; passedMs += 150) {
      await messages.write({ kind: "beat" });
      await node.clock.advance(150);
      kinds.push((await messages.read() as { kind: string }).kind);
    }
    return kinds;
  };
  assert.deepEqual(await kindsFor(300), ["fetching", "beat"]);
  node.isInTheWay = true;
  assert.deepEqual(await kindsFor(450), ["leaving", "beat", "beat"]);
  near.reset();
  await served;
});

Deno.test("What the leader packed reaches the worker as it was", async () => {
  await using node = new LendingNode();
  const { near, served } = await node.lease();
  const tunnel = node.tunnel("one");
  await tunnel.near.write(Uint8Array.from([2, ...deflateRawSync(FILE)]));
  const back: number[] = [];
  while (back.length < FILE.length) {
    back.push(...(await tunnel.near.read() ?? new Uint8Array(0)).subarray(1));
  }
  assert.deepEqual(Uint8Array.from(back), FILE);
  near.reset();
  await served;
  await tunnel.served.catch(() => {});
});

Deno.test("Weights that the leader left out are put back from the file here, and other ones end the tunnel", async () => {
  const head = new Uint8Array(9 + 304);
  head[0] = 6;
  new DataView(head.buffer).setBigUint64(1, 304n + 5_000n, true);
  const digest = createHash("sha256").update(FILE.subarray(100, 5_100)).digest("hex");
  const frame = Uint8Array.from([
    1,
    ...writeReference({ head, offset: 100, length: 5_000, digest }),
  ]);
  {
    await using node = new LendingNode();
    const { near, served } = await node.lease();
    const tunnel = node.tunnel("one");
    await tunnel.near.write(frame);
    const back: number[] = [];
    while (back.length < head.length + 5_000) {
      back.push(...(await tunnel.near.read() ?? new Uint8Array(0)).subarray(1));
    }
    assert.deepEqual(
      Uint8Array.from(back),
      Uint8Array.from([...head, ...FILE.subarray(100, 5_100)]),
    );
    near.reset();
    await served;
    await tunnel.served.catch(() => {});
  }
  const changed = FILE.slice();
  changed[3_000] = 77;
  await using node = new LendingNode(changed);
  const { messages, granted, served } = await node.lease();
  assert.deepEqual(granted, { kind: "granted", holdsBlob: true, unpacks: true });
  const tunnel = node.tunnel("one");
  await tunnel.near.write(frame);
  await assert.rejects(tunnel.served, { code: "load_failed" });
  const reason = "its weights are not those of the leader";
  assert.deepEqual(await messages.read(), { kind: "lost", reason });
  messages.reset();
  await served;
  // So that the next try goes well.
  const next = await node.lease("two");
  assert.deepEqual(next.granted, { kind: "granted", holdsBlob: false, unpacks: true });
  next.messages.reset();
  await next.served;
});

const WEIGHTS = {
  blobBytes: FILE.length,
  ranges: [{ offset: 100, length: 5_000 }, { offset: 7_000, length: 1_000 }],
};

Deno.test("A node without the file fetches the layers of its worker alone, and once", async () => {
  await using node = new LendingNode();
  node.holds = "nothing";
  const asked: BlobRange[] = [];
  const { send } = node;
  node.send = (range) => (asked.push(range), send(range));
  for (const shardId of ["one", "two"]) {
    const { messages, granted, served } = await node.lease(shardId, WEIGHTS);
    assert.deepEqual(granted, {
      kind: "granted",
      holdsBlob: false,
      holdsRanges: true,
      unpacks: true,
    });
    messages.reset();
    await served;
  }
  assert.deepEqual(asked, WEIGHTS.ranges);
  assert.deepEqual(node.fetched.get("7000-1000"), FILE.slice(7_000, 8_000));
});

Deno.test("A leader hears that layers still come, and sends all where they don't", async () => {
  await using node = new LendingNode();
  node.holds = "nothing";
  const more = Promise.withResolvers<void>();
  node.send = async function* ({ offset, length }) {
    yield FILE.subarray(offset, offset + length - 1);
    await more.promise;
    throw new UnavailableError("peer_lost", "gone");
  };
  const lease = node.lease("one", WEIGHTS);
  await settle();
  await node.clock.advance(SHARD_SILENCE_MS - 10);
  more.resolve();
  const { granted, messages, served } = await lease;
  const kinds = [(granted as { kind: string }).kind];
  while (kinds.at(-1) !== "granted") {
    const message = await messages.read() as { kind: string };
    kinds.push(message.kind);
    if (message.kind === "granted") {
      assert.deepEqual(message, { kind: "granted", holdsBlob: false, unpacks: true });
    }
  }
  assert.ok(kinds.includes("fetching"), kinds.join());
  messages.reset();
  await served;
});

Deno.test("Fetched layers that are not the leader's are dropped", async () => {
  await using node = new LendingNode();
  node.holds = "nothing";
  const { messages, served } = await node.lease("one", WEIGHTS);
  const head = new Uint8Array(9 + 304);
  head[0] = 6;
  new DataView(head.buffer).setBigUint64(1, 304n + 5_000n, true);
  const digest = createHash("sha256").update("others").digest("hex");
  const tunnel = node.tunnel("one");
  await tunnel.near.write(
    Uint8Array.from([1, ...writeReference({ head, offset: 100, length: 5_000, digest })]),
  );
  await assert.rejects(tunnel.served, { code: "load_failed" });
  assert.equal((await messages.read() as { kind: string }).kind, "lost");
  assert.equal(node.dropped, 1);
  messages.reset();
  await served;
});

Deno.test("A tunnel with nonsense in it ends, and the worker stays", async () => {
  await using node = new LendingNode();
  const { near, served } = await node.lease();
  const bomb = deflateRawSync(new Uint8Array(64 * 1024 * 1024));
  const frames = [[9, 1], [], [1, 2, 3], [2, 255, 255], [2, ...bomb]];
  for (const frame of frames.map((bytes) => Uint8Array.from(bytes))) {
    const tunnel = node.tunnel("one");
    await tunnel.near.write(frame);
    await assert.rejects(tunnel.served, { code: "malformed_frame" });
  }
  assert.equal(node.released, 0);
  near.reset();
  await served;
});
