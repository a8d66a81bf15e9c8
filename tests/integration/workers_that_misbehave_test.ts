import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { askTiny, loadTiny, readAnswer, startEngine, TINY_SETTINGS } from "./engine_harness.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`workers that misbehave are not tested: ${lacking}`);
const SEED = 14;
const CUTS = 6;
/** Whoever waits for such a runner gives it up: at the tunnel that is told by silence. */
const PATIENCE_MS = 4_000;
const LAYERS = 6;

/** A port whose connections `serve` answers, until it is disposed of. */
function listen(serve: (connection: Deno.TcpConn) => Promise<void>) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      void serve(connection).catch(() => {}).finally(() => {
        try {
          connection.close();
        } catch {
          // It is closed already.
        }
      });
    }
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving.catch(() => {});
    },
  };
}

/** Loads `tiny` with all layers on the worker at `port`; the text, or why there is none. */
async function compute(port: number): Promise<string> {
  const engine = startEngine();
  const shards = { ports: [port], workerLayers: [LAYERS], ownLayers: 0, ownBytes: 1 };
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const model = await engine.load({ ...TINY_SETTINGS, shards }, { signal });
  try {
    const { text } = await readAnswer(model, askTiny("Hello", { predictTokensMax: 8 }));
    return text;
  } finally {
    await model.unload();
  }
}

async function wholeText(): Promise<string> {
  await using model = await loadTiny();
  return (await readAnswer(model, askTiny("Hello", { predictTokensMax: 8 }))).text;
}

const random = new Random(SEED);
const garbage = () => Uint8Array.from({ length: 4_096 }, () => random.below(256));

Deno.test({
  name:
    "A worker that closes at once, or sends garbage, ends its leader's process and nothing else",
  ignore: lacking !== undefined,
}, async () => {
  const bad: readonly ((connection: Deno.TcpConn) => Promise<void>)[] = [
    () => Promise.resolve(),
    async (connection) => {
      for (let times = 0; times < 100; times++) await connection.write(garbage());
    },
    // Lengths beyond all memory.
    async (connection) => {
      for (let times = 0; times < 100; times++) {
        await connection.write(new Uint8Array(64).fill(255));
      }
    },
  ];
  for (const serve of bad) {
    await using worker = listen(serve);
    await assert.rejects(compute(worker.port));
  }
  assert.notEqual(await wholeText(), "");
});

Deno.test({
  name:
    "A worker that is cut off at any byte gives a failure or the whole answer, never another one",
  ignore: lacking !== undefined,
}, async () => {
  const text = await wholeText();
  const engine = startEngine();
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  const signal = new AbortController().signal;
  const lent = { port, memoryBytes: 1 };
  const real = await engine.load({ ...TINY_SETTINGS, modelPath: "", worker: lent }, { signal });
  try {
    let passedBytes = 0;
    let allowedBytes = Infinity;
    const relay = async (leader: Deno.TcpConn) => {
      using worker = await connected(port);
      const up = leader.readable.pipeTo(worker.writable).catch(() => {});
      const buffer = new Uint8Array(16 * 1024);
      for (
        let count = await worker.read(buffer);
        count !== null;
        count = await worker.read(buffer)
      ) {
        const taken = Math.min(count, allowedBytes - passedBytes);
        passedBytes += taken;
        await leader.write(buffer.subarray(0, taken));
        if (taken < count) break;
      }
      leader.close();
      await up;
    };
    await using worker = listen(relay);
    assert.equal(await compute(worker.port), text);
    const wholeBytes = passedBytes;
    assert.ok(wholeBytes > 1_000, String(wholeBytes));
    let failures = 0;
    for (let cut = 0; cut < CUTS; cut++) {
      passedBytes = 0;
      allowedBytes = random.below(wholeBytes);
      const said = await compute(worker.port).catch(() => (failures++, text));
      assert.equal(said, text, `cut after ${allowedBytes} of ${wholeBytes}`);
    }
    assert.ok(failures > 0, "no cut struck");
    // It serves whoever comes next.
    allowedBytes = Infinity;
    assert.equal(await compute(worker.port), text);
  } finally {
    await real.unload();
  }
});

/** The worker's process opens its port a moment after it has started. */
async function connected(port: number): Promise<Deno.TcpConn> {
  for (;;) {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
  }
}
