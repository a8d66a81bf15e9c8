/**
 * A client that stops reading a long answer, beside others that read, on a process that is also a voter of a Raft group:
 * all of the node's own code between a runner's pipe and the sockets, over real time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { percentile } from "../../bench/measuring/stats.ts";
import { CONNECTION_TIMES, type HttpListener, listenHttp } from "../../src/http/mod.ts";
import { FLOOD, FLOOD_TOKENS, FlowingEngine, PACED_TOKENS } from "../harness/flowing_engine.ts";
import { appUnderTest } from "../harness/http_app.ts";
import { openDisk } from "../../src/storage/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { quicPorts } from "../harness/quic_ports.ts";
import { testClock } from "../harness/quic_world.ts";

const READERS = 3;
const ROUNDS = 4;
/** What a reader's lines and Raft's frames may come later beside a stalled one. */
const WORSE_MAX = 1.1;
/** Below the turns of a busy machine's scheduler nothing can be compared. */
const NOISE_MS = 4;
/** Sockets of this machine take so much before they push back: tokens of a flood, generously. */
const SOCKET_TOKENS_MAX = 60_000;
const HEAP_BYTES_MAX = 64 * 1024 * 1024;

/** One node behind a real socket. */
class Served implements AsyncDisposable {
  readonly engine = new FlowingEngine(testClock);
  #world: NodeWorld | undefined;
  #listener: HttpListener | undefined;

  get port(): number {
    return this.#listener?.address.port ?? 0;
  }

  async listen(): Promise<void> {
    const world = this.#world = await NodeWorld.start(1, {
      mode: "prompt",
      flags: { slots: `${READERS + 1}` },
      engine: () => this.engine,
    });
    await world.createModel(1);
    const { api } = world.node(1);
    const { app, telemetry } = appUnderTest({
      script: { generate: (request, signal) => api.generate(request, signal) },
    });
    this.#listener = await listenHttp({
      hostname: "127.0.0.1",
      port: 0,
      limits: { ...CONNECTION_TIMES, connectionsMax: 64, connectionsPerAddressMax: 64 },
      clock: testClock,
      log: telemetry,
      metrics: telemetry,
      isOwn: () => true,
      answer: async (request, { address, ...connection }) => {
        const sender = { kind: "machine", address, isOwn: true } as const;
        return await app.fetch(request, { ...connection, sender });
      },
    });
  }

  /** A client that asks and reads nothing of the answer. */
  async stall(): Promise<Disposable> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    const body = JSON.stringify({ model: "m", prompt: FLOOD });
    const head = `POST /api/generate HTTP/1.1\r\nhost: localhost:${this.port}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    await connection.write(new TextEncoder().encode(head + body));
    return { [Symbol.dispose]: () => connection.close() };
  }

  /** Times at which parts of one whole answer came. */
  async read(): Promise<readonly number[]> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/generate`, {
      method: "POST",
      body: JSON.stringify({ model: "m", prompt: "hi" }),
    });
    const times: number[] = [];
    let text = "";
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      times.push(performance.now());
      text += part;
    }
    const words = text.match(/word \d+/g) ?? [];
    assert.equal(words.length, PACED_TOKENS, text.slice(0, 300));
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#world?.[Symbol.asyncDispose]();
    await this.#listener?.shutdown();
  }
}

function gapsOf(times: readonly number[]): readonly number[] {
  return times.slice(1).map((at, index) => at - (times[index] ?? at));
}

interface Gaps {
  /** 99th percentiles; milliseconds. */
  readonly tokens: number;
  readonly heartbeats: number;
}

/** `heardAtMs`: when a follower heard its leader. */
async function measure(served: Served, heardAtMs: number[]): Promise<Gaps> {
  heardAtMs.length = 0;
  const answers = await Promise.all(Array.from({ length: READERS }, () => served.read()));
  return {
    tokens: percentile(answers.flatMap(gapsOf), 0.99),
    heartbeats: percentile(gapsOf(heardAtMs), 0.99),
  };
}

Deno.test("A client that stops reading moves neither other clients nor Raft, and its answer waits", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-stalled-" });
  {
    // Node 1 leads: node 2 hears it.
    const heardAtMs: number[] = [];
    await using voters = await NodeWorld.start(3, {
      mode: "prompt",
      flags: { listenAddress: "127.0.0.1:0" },
      ports: (number) => ({
        ...quicPorts(() => number === 2 && heardAtMs.push(performance.now())),
        openDisk: () => openDisk(join(folder, `n${number}`)),
      }),
    });
    assert.equal(voters.leader(), 1);
    const quiet: Gaps[] = [];
    const beside: Gaps[] = [];
    let heapBytes = 0;
    // Side by side, since a machine's mood changes from minute to minute.
    for (let round = 0; round < ROUNDS; round++) {
      await using served = new Served();
      await served.listen();
      await served.read();
      quiet.push(await measure(served, heardAtMs));
      const heapBefore = Deno.memoryUsage().heapUsed;
      using _stalled = await served.stall();
      await served.engine.floodStopped;
      beside.push(await measure(served, heardAtMs));
      heapBytes = Math.max(heapBytes, Deno.memoryUsage().heapUsed - heapBefore);
      const { floodTokens } = served.engine;
      assert.ok(floodTokens > 1_000, `only ${floodTokens} tokens were made for it`);
      assert.ok(
        floodTokens < SOCKET_TOKENS_MAX && floodTokens < FLOOD_TOKENS,
        `${floodTokens} tokens were made for nobody`,
      );
    }
    for (const what of ["tokens", "heartbeats"] as const) {
      // Of each the quietest round: other load makes some rounds worse, a stalled reader would make all of them worse.
      const [before, after] = [quiet, beside].map((gaps) =>
        Math.min(...gaps.map((gap) => gap[what]))
      );
      assert.ok(before !== undefined && after !== undefined);
      console.log(`${what}: p99 gap ${before.toFixed(1)} ms, beside it ${after.toFixed(1)} ms`);
      assert.ok(after <= before * WORSE_MAX + NOISE_MS, `${what}: ${before} ms, then ${after} ms`);
    }
    assert.equal(voters.leader(), 1);
    assert.ok(heapBytes < HEAP_BYTES_MAX, `${heapBytes} bytes`);
  }
  await Deno.remove(folder, { recursive: true });
});
