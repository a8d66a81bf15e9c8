import assert from "node:assert/strict";
import type { NodeId } from "../../src/base/mod.ts";
import { StreamRouter } from "../../src/calls/stream_router.ts";
import type { LeaseRequest } from "../../src/slots/lease.ts";
import { LeaseServer } from "../../src/slots/lease_server.ts";
import { RemoteLeases } from "../../src/slots/remote_leases.ts";
import { neededModel } from "../../src/slots/model_need.ts";
import { SchedulerDriver } from "../../src/slots/scheduler_driver.ts";
import type { TransportHandlers } from "../../src/ports/mod.ts";
import type { SequenceRequest } from "../../src/protocol/mod.ts";
import { KeptLog, QuicWorld, testClock } from "../harness/quic_world.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { SCRIPTED_ANSWER, scriptedDefinition, ScriptedEngine } from "../harness/scripted_engine.ts";
import { GREEDY } from "./engine_harness.ts";

const never = new AbortController().signal;

/** A node that serves its scripted model over QUIC, and another one that asks. */
async function openPair(world: QuicWorld) {
  const telemetry = new RecordingTelemetry();
  const engine = new ScriptedEngine(testClock);
  const driver = new SchedulerDriver({
    engine,
    clock: testClock,
    machine: { availableBytes: () => 1e12, cores: 2 },
    log: telemetry,
    metrics: telemetry,
    loadTimeoutMs: Infinity,
    options: {
      loadedModelsMax: 3,
      queueRequestsMax: 4,
      keepAliveMs: Infinity,
      reserveBytes: 0,
      cores: 2,
      threads: 1,
    },
  });
  const defaults = { slots: 2, flashAttention: "auto", kvCacheType: "f16" } as const;
  const router = new StreamRouter({ clock: testClock, log: telemetry, metrics: telemetry });
  const idle = Promise.withResolvers<void>();
  const server = new LeaseServer({
    driver,
    findDefinition: () => Promise.resolve(scriptedDefinition()),
    defaults,
    clock: testClock,
    log: telemetry,
  });
  router.register("lease", {
    streamsPerPeerMax: server.streamsPerPeerMax,
    serve: (stream, opening) => server.serve(stream, opening).finally(idle.resolve),
  });
  const handlers = (changes: Partial<TransportHandlers> = {}): TransportHandlers => ({
    onDatagram() {},
    onFrame() {},
    onStream: (stream) => stream.reset(),
    onSendFailed() {},
    onConnectionLost() {},
    ...changes,
  });
  const serving = await world.open(
    handlers({ onStream: (stream) => void router.accept(stream) }),
  );
  const asking = await world.open(
    handlers({ onConnectionLost: (peer) => leases.onPeerGone(peer) }),
    { log: new KeptLog() },
  );
  const leases = new RemoteLeases({ clock: testClock, transport: asking.transport });
  const acquire = () => {
    const { address } = serving.transport;
    const peer = { nodeId: serving.nodeId, address, name: "b", isReplaceable: false };
    return leases.acquire(peer, leaseRequest(), never);
  };
  return { driver, engine, serving, asking, acquire, idle: idle.promise };
}

function leaseRequest(): LeaseRequest {
  const load = {
    contextTokens: 512,
    slots: 2,
    batchTokens: 512,
    gpuLayers: 0,
    mmap: true,
    flashAttention: "auto",
    kvCacheType: "f16",
    mode: "generate",
    threads: 0,
  } as const;
  return {
    ...neededModel(scriptedDefinition(), load, undefined),
    requestId: "r",
    standing: "fresh",
    promptTokens: 1,
    promptText: "hi",
    avoid: [] as NodeId[],
  };
}

const SEQUENCE: SequenceRequest = {
  prompt: { kind: "text", text: "hi", addSpecial: true },
  emittedTokens: [],
  sampler: GREEDY,
  predictTokensMax: 1000,
  keepTokens: 4,
  onLongPrompt: "refuse",
  onFullContext: "stop",
  grammar: null,
  topLogprobs: -1,
};

Deno.test("A lease over QUIC carries an answer, long messages, and the slot back", () =>
  QuicWorld.run({}, async (world) => {
    const { driver, acquire, idle } = await openPair(world);
    const lease = await acquire();
    let bytes: number[] = [];
    for await (const event of lease.model.generate(SEQUENCE, never)) {
      if (event.kind !== "tokens") continue;
      bytes = [...bytes, ...event.tokens.flatMap((token) => [...token.bytes])];
    }
    assert.equal(new TextDecoder().decode(Uint8Array.from(bytes)), SCRIPTED_ANSWER);
    const long = "long ".repeat(250_000);
    const tokens = await lease.model.tokenize(long, { addSpecial: false });
    assert.equal(tokens.length, long.length);
    assert.equal(driver.view().running, 1);
    lease.release();
    await idle;
    assert.equal(driver.view().running, 0);
    await driver.close();
  }));

Deno.test("A lease over QUIC is cancelled through", () =>
  QuicWorld.run({}, async (world) => {
    const { driver, acquire, idle } = await openPair(world);
    const lease = await acquire();
    const abort = new AbortController();
    let last = "";
    for await (const event of lease.model.generate(SEQUENCE, abort.signal)) {
      if (event.kind === "tokens") abort.abort();
      last = event.kind === "finished" ? event.reason : event.kind;
    }
    assert.equal(last, "cancelled");
    lease.release();
    await idle;
    await driver.close();
  }));

Deno.test("A lease over QUIC is lost with its connection, and frees the slot", () =>
  QuicWorld.run({}, async (world) => {
    const { driver, acquire, asking, serving, idle } = await openPair(world);
    const lease = await acquire();
    await assert.rejects(async () => {
      for await (const event of lease.model.generate(SEQUENCE, never)) {
        if (event.kind === "tokens") asking.transport.disconnect(serving.nodeId);
      }
    }, { code: "runner_lost" });
    await idle;
    assert.equal(driver.view().running, 0);
    await driver.close();
  }));
