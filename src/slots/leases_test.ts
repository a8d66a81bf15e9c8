import assert from "node:assert/strict";
import { InvariantError, type NodeId, RequestError, UnavailableError } from "../base/mod.ts";
import type { ModelDefinition } from "../models/mod.ts";
import { LEASES_PER_PEER_MAX, SPLIT_LEASE } from "../core/answers/limits.ts";
import type { LoadedModel, SplitView } from "../ports/mod.ts";
import type { LoadedFacts, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
import { HandClock, settle } from "../../tests/harness/hand_clock.ts";
import { type StreamPair, streamPair } from "../../tests/harness/peer_streams.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { encodeValue, TRANSPORT_LIMITS } from "../transport/mod.ts";
import { MessageStream } from "../calls/message_stream.ts";
import { StreamRouter } from "../calls/stream_router.ts";
import type { Lease, SlotRequest } from "./scheduler_driver.ts";
import type { LeaseRequest } from "./lease.ts";
import { LeaseServer } from "./lease_server.ts";
import { RemoteLeases } from "./remote_leases.ts";
import { RouteJournal } from "./route_journal.ts";
import { GREEDY } from "../../tests/harness/greedy.ts";

const ASKING = "aaaaaaaaaaaaaaaa" as NodeId;
const SERVING = "bbbbbbbbbbbbbbbb" as NodeId;
const PEER = {
  nodeId: SERVING,
  address: "b:1",
  name: "bert",
  isReplaceable: true,
  couldGoOnElsewhere: () => true,
};
const never = new AbortController().signal;
const encoder = new TextEncoder();

const FACTS: LoadedFacts = {
  contextTokens: 1024,
  trainingContextTokens: 2048,
  vocabularyTokens: 256,
  embeddingLength: 4,
  slots: 2,
  memoryBytes: 1e6,
  deviceMemoryBytes: 0,
  bosText: "<s>",
  eosText: "</s>",
  canShift: true,
  numericClass: "x",
};

const REQUEST: LeaseRequest = {
  requestId: "r1",
  need: {} as LeaseRequest["need"],
  settings: {} as LeaseRequest["settings"],
  standing: "fresh",
  promptTokens: 3,
  promptText: "",
  avoid: [],
  wanted: {
    name: "tiny",
    manifestDigest: "ab".repeat(32),
    load: {
      contextTokens: 1024,
      slots: 7,
      batchTokens: 512,
      gpuLayers: -1,
      mmap: true,
      flashAttention: "on",
      kvCacheType: "q8_0",
      mode: "generate",
      threads: 0,
    },
    keepAliveMs: Infinity,
  },
};

const SEQUENCE: SequenceRequest = {
  prompt: { kind: "text", text: "hi", addSpecial: true },
  emittedTokens: [],
  sampler: GREEDY,
  predictTokensMax: 1000,
  keepTokens: 4,
  onLongPrompt: "refuse",
  onFullContext: "stop",
  grammar: null,
  topLogprobs: 1,
};

const DEFINITION: Partial<ModelDefinition> = {
  name: { host: "registry.ollama.ai", namespace: "library", model: "tiny", tag: "latest" },
  manifestDigest: REQUEST.wanted.manifestDigest,
  modelPath: "/own/path.gguf",
  adapterPaths: [],
  weightsBytes: 10,
  facts: {
    contextLength: 4096,
    blockCount: 1,
    kvHeads: 1,
    keyValueLength: 1,
    vocabularyTokens: 256,
    embeddingLength: 4,
    weightsBytes: 10,
  } as ModelDefinition["facts"],
};

/** The driver of the serving node: grants when told to, counts what comes back. */
class ScriptedDriver {
  readonly asked: SlotRequest[] = [];
  released = 0;
  lost = 0;
  grants = true;
  refusal: Error | undefined;
  produced = 0;
  tokens: readonly string[] = ["He", "l", "lo"];
  /** Tokens before an answer waits for its end; Infinity = it does not. */
  stallsAfter = Infinity;
  dies = false;
  split: SplitView | undefined;

  acquire(request: SlotRequest, signal: AbortSignal): Promise<Lease> {
    if (signal.aborted) return Promise.reject(signal.reason);
    this.asked.push(request);
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    if (this.grants) return Promise.resolve(this.#lease());
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  }

  #lease(): Lease {
    let isOver = false;
    const end = (count: () => void) => () => {
      if (!isOver) count();
      isOver = true;
    };
    return {
      model: this.#model(),
      loadNs: 12,
      release: end(() => this.released++),
      lost: end(() => this.lost++),
    };
  }

  #model(): LoadedModel {
    const model: Partial<LoadedModel> = {
      facts: FACTS,
      processId: 77,
      ...this.split && { split: this.split },
      generate: (request, signal) => this.#generate(request, signal),
      embed: (inputs, { signal }) =>
        new Promise((resolve, reject) => {
          if (inputs[0] === "wait") {
            return signal.addEventListener("abort", () => reject(signal.reason));
          }
          const vectors = inputs.map((text) => new Float32Array([text.length, 0.1]));
          resolve({ vectors, promptTokens: inputs.length });
        }),
      tokenize: (text) =>
        text === "bad"
          ? Promise.reject(new RequestError("prompt_too_long", "too long", { status: 413 }))
          : Promise.resolve([...encoder.encode(text)]),
      detokenize: (tokens) => Promise.resolve(Uint8Array.from(tokens)),
    };
    return model as LoadedModel;
  }

  async *#generate(request: SequenceRequest, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    const text = request.prompt.kind === "text" ? request.prompt.text : "";
    yield { kind: "started", promptTokens: [...encoder.encode(text)], cachedTokens: 1 };
    for (const [index, token] of this.tokens.entries()) {
      if (index >= this.stallsAfter) {
        await new Promise<void>((resolve) =>
          signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve())
        );
      }
      if (signal.aborted) {
        yield { kind: "finished", reason: "cancelled", prefillNs: 1, decodeNs: 1 };
        return;
      }
      this.produced++;
      const bytes = encoder.encode(token);
      const topLogprobs = [{ token: 1, bytes, logprob: -Infinity }];
      yield { kind: "tokens", tokens: [{ token: index, bytes, logprob: -0.5, topLogprobs }] };
    }
    if (this.dies) throw new UnavailableError("runner_lost", "it was killed");
    yield { kind: "finished", reason: "end", prefillNs: 1, decodeNs: 2 };
  }
}

function stage() {
  const clock = new HandClock();
  const telemetry = new RecordingTelemetry();
  const driver = new ScriptedDriver();
  const known = { has: true };
  const journal = new RouteJournal();
  const server = new LeaseServer({
    driver,
    findDefinition: ({ manifestDigest }) => {
      assert.equal(manifestDigest, REQUEST.wanted.manifestDigest);
      return Promise.resolve(known.has ? DEFINITION as ModelDefinition : undefined);
    },
    defaults: { slots: 2, flashAttention: "auto", kvCacheType: "f16" },
    clock,
    log: telemetry,
    self: { nodeId: SERVING, name: "serving" },
    journal,
  });
  const router = new StreamRouter({ clock, log: telemetry, metrics: telemetry });
  router.register("lease", server);
  const pairs: StreamPair[] = [];
  const connect = (): StreamPair => {
    const pair = streamPair(ASKING, SERVING);
    pairs.push(pair);
    void router.accept(pair.far);
    return pair;
  };
  const leases = new RemoteLeases({
    clock,
    transport: { openStream: () => Promise.resolve(connect().near) },
  });
  const acquire = (signal = never) => leases.acquire(PEER, REQUEST, signal);
  const malformed = () =>
    telemetry.samples.filter(({ labels }) => labels["reason"] === "malformed").length;
  return { clock, driver, server, leases, acquire, connect, pairs, known, malformed, telemetry };
}

async function read(events: AsyncIterable<SequenceEvent>) {
  let text = "";
  const seen: SequenceEvent[] = [];
  for await (const event of events) {
    seen.push(event);
    if (event.kind !== "tokens") continue;
    for (const { bytes } of event.tokens) text += new TextDecoder().decode(bytes);
  }
  return { text, seen };
}

/** The asking node's end, spoken by hand. */
async function speak(pair: StreamPair, opening: unknown = openingOf()): Promise<MessageStream> {
  await pair.near.write(encodeValue(opening));
  return new MessageStream(pair.near);
}

function openingOf(changes: Record<string, unknown> = {}) {
  const { requestId, standing, wanted } = REQUEST;
  return { purpose: "lease", version: 1, requestId, standing, ...wanted, ...changes };
}

Deno.test("A remote lease answers as the model on its node does, and gives its slot back", async () => {
  const { acquire, driver, leases } = stage();
  const lease = await acquire();
  assert.deepEqual(lease.servedBy, { nodeId: SERVING, name: "bert" });
  assert.equal(lease.loadNs, 12);
  assert.deepEqual([lease.model.facts, lease.model.processId], [FACTS, 77]);
  const { text, seen } = await read(lease.model.generate(SEQUENCE, never));
  assert.equal(text, "Hello");
  assert.deepEqual(seen[0], { kind: "started", promptTokens: [104, 105], cachedTokens: 1 });
  assert.equal(seen.at(-1)?.kind, "finished");
  assert.deepEqual(await lease.model.tokenize("ab", { addSpecial: true }), [97, 98]);
  assert.deepEqual(await lease.model.detokenize([97]), Uint8Array.of(97));
  const embedded = await lease.model.embed(["a", "bcd"], { onLongInput: "refuse", signal: never });
  assert.deepEqual(embedded, {
    vectors: [new Float32Array([1, 0.1]), new Float32Array([3, 0.1])],
    promptTokens: 2,
  });
  assert.equal(driver.released, 0);
  lease.release();
  lease.lost();
  await settle();
  assert.deepEqual([driver.released, driver.lost, leases.openCount(SERVING)], [1, 0, 0]);
});

Deno.test("A connection carries as many leases as a peer may have, and other streams beside them", () => {
  assert.ok(LEASES_PER_PEER_MAX + 64 <= TRANSPORT_LIMITS.streamsPerPeerMax);
});

Deno.test("A remote lease loads with the serving node's own paths and parallelism", async () => {
  const { acquire, driver } = stage();
  await acquire();
  const [asked] = driver.asked;
  assert.equal(asked?.settings.modelPath, "/own/path.gguf");
  assert.deepEqual(
    [asked?.settings.slots, asked?.settings.kvCacheType, asked?.settings.flashAttention],
    [2, "f16", "auto"],
  );
  assert.equal(asked?.need.keepAliveMs, Infinity);
  assert.equal(asked?.settings.contextTokens, 1024);
});

Deno.test("A remote lease waits on its asker's account, with what is left of its time and how much it asks for", async () => {
  const { leases, driver, clock } = stage();
  const account = {
    ...{ tenant: "key k1", priority: "low" as const },
    deadlineAtMs: clock.nowMs() + 5_000,
  };
  await leases.acquire(PEER, { ...REQUEST, account, answerTokensMax: 64 }, never);
  const [asked] = driver.asked;
  assert.deepEqual(
    [asked?.account, asked?.answerTokensMax, asked?.promptTokens],
    [account, 64, REQUEST.promptTokens],
  );
  await leases.acquire(PEER, REQUEST, never);
  assert.equal(driver.asked[1]?.account, undefined);
});

Deno.test("Aborting an answer on another node ends it as cancelled, and the lease goes on", async () => {
  const { acquire, driver } = stage();
  driver.stallsAfter = 1;
  const lease = await acquire();
  const abort = new AbortController();
  const seen: SequenceEvent[] = [];
  for await (const event of lease.model.generate(SEQUENCE, abort.signal)) {
    seen.push(event);
    if (event.kind === "tokens") abort.abort();
  }
  const last = seen.at(-1);
  assert.equal(last?.kind === "finished" && last.reason, "cancelled");
  assert.deepEqual(await lease.model.tokenize("a", { addSpecial: true }), [97]);
});

Deno.test("A reader that leaves early cancels on the other node", async () => {
  const { acquire, driver } = stage();
  driver.stallsAfter = 1;
  const lease = await acquire();
  for await (const event of lease.model.generate(SEQUENCE, never)) {
    if (event.kind === "tokens") break;
  }
  await settle();
  lease.release();
  await settle();
  assert.equal(driver.released, 1);
});

Deno.test("Aborting an embedding on another node rejects with the signal's reason", async () => {
  const { acquire } = stage();
  const lease = await acquire();
  const abort = new AbortController();
  const embedding = lease.model.embed(["wait"], { onLongInput: "refuse", signal: abort.signal });
  await settle();
  abort.abort(new Error("gone"));
  await assert.rejects(embedding, /gone/);
});

Deno.test("Errors keep code, text, status and patience across nodes", async () => {
  const { acquire, driver, known } = stage();
  const lease = await acquire();
  await assert.rejects(lease.model.tokenize("bad", { addSpecial: true }), {
    name: "RequestError",
    code: "prompt_too_long",
    message: "too long",
    status: 413,
  });
  driver.refusal = new UnavailableError("queue_full", "busy", { retryAfterMs: 1500 });
  await assert.rejects(acquire(), {
    name: "UnavailableError",
    code: "queue_full",
    message: "busy",
    status: 503,
    retryAfterMs: 1500,
  });
  driver.refusal = new Error("secret path /home/me");
  await assert.rejects(acquire(), (error: Error & { code?: string }) => {
    assert.equal(error.code, "peer_refused");
    assert.ok(!error.message.includes("secret"));
    return true;
  });
  known.has = false;
  await assert.rejects(acquire(), { code: "model_not_found" });
});

Deno.test("A request that is aborted while it waits on another node leaves its queue", async () => {
  const { acquire, driver, leases } = stage();
  driver.grants = false;
  const abort = new AbortController();
  const waiting = acquire(abort.signal);
  await settle();
  assert.equal(driver.asked.length, 1);
  abort.abort(new Error("gone"));
  await assert.rejects(waiting, /gone/);
  await settle();
  assert.equal(leases.openCount(SERVING), 0);
});

Deno.test("Heartbeats keep a lease that waits or is idle, however long", async () => {
  const { acquire, driver, clock } = stage();
  const idle = await acquire();
  driver.grants = false;
  let refused: unknown;
  acquire().catch((error) => refused = error);
  await clock.advance(120_000);
  assert.equal(refused, undefined);
  assert.deepEqual(await idle.model.tokenize("a", { addSpecial: true }), [97]);
  assert.equal(driver.released, 0);
});

Deno.test("A serving node that goes silent loses the lease within 2 s, and never before", async () => {
  const clock = new HandClock();
  const pair = streamPair(ASKING, SERVING, 1000);
  const leases = new RemoteLeases({
    clock,
    transport: { openStream: () => Promise.resolve(pair.near) },
  });
  const acquiring = leases.acquire(PEER, REQUEST, never);
  await settle();
  await pair.far.read();
  const far = new MessageStream(pair.far);
  await clock.advance(900);
  await far.write({ kind: "granted", facts: FACTS, processId: 1, loadNs: 0 });
  const { model } = await acquiring;
  let ended: string | undefined;
  void model.exited.then(({ reason }) => ended = reason);
  const answer = read(model.generate(SEQUENCE, never));
  const failed = assert.rejects(answer, { code: "runner_lost" });
  await clock.advance(1_999);
  assert.equal(ended, undefined);
  await clock.advance(1);
  await failed;
  assert.match(ended ?? "", /said nothing/);
  await assert.rejects(model.tokenize("a", { addSpecial: true }), { code: "runner_lost" });
  assert.equal(clock.pendingCount, 0);
});

const SPLIT: SplitView = { shards: [], msPerToken: 1, linkBytesPerToken: 1 };

Deno.test("A silent leader of a split model loses the lease within a second, where another could go on", async () => {
  for (const [isReplaceable, silenceMs] of [[true, 750], [false, 10_000]] as const) {
    const { clock, driver, leases, pairs } = stage();
    driver.split = SPLIT;
    const { model } = await leases.acquire({ ...PEER, isReplaceable }, REQUEST, never);
    let ended: string | undefined;
    void model.exited.then(({ reason }) => ended = reason);
    // It beats so often that it isn't silent.
    await clock.advance(60_000);
    assert.equal(ended, undefined);
    const [pair] = pairs;
    assert.ok(pair !== undefined);
    pair.far.write = () => Promise.resolve();
    await clock.advance(silenceMs - SPLIT_LEASE.beatMs - 1);
    assert.equal(ended, undefined);
    await clock.advance(SPLIT_LEASE.beatMs + 1);
    assert.match(ended ?? "", /said nothing/);
    leases.close();
  }
});

Deno.test("A node that never answers an opening is lost to the request, which says so", async () => {
  const clock = new HandClock();
  const stuck = new RemoteLeases({
    clock,
    transport: {
      openStream: (_, signal) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
  });
  const mute = new RemoteLeases({
    clock,
    transport: { openStream: () => Promise.resolve(streamPair(ASKING, SERVING).near) },
  });
  for (const leases of [stuck, mute]) {
    for (const [isReplaceable, patienceMs] of [[true, 1_000], [false, 10_000]] as const) {
      let isOver = false;
      const acquiring = leases.acquire({ ...PEER, isReplaceable }, REQUEST, never);
      const failed = assert.rejects(acquiring.finally(() => isOver = true), { code: "peer_lost" });
      await clock.advance(patienceMs - 1);
      assert.equal(isOver, false);
      await clock.advance(1);
      await failed;
      assert.equal(leases.openCount(SERVING), 0);
    }
  }
});

Deno.test("A node that has given its first word gets the usual time for the next", async () => {
  const clock = new HandClock();
  const pair = streamPair(ASKING, SERVING, 1000);
  const leases = new RemoteLeases({
    clock,
    transport: { openStream: () => Promise.resolve(pair.near) },
  });
  const acquiring = leases.acquire({ ...PEER, isReplaceable: true }, REQUEST, never);
  await settle();
  await pair.far.read();
  const far = new MessageStream(pair.far);
  await clock.advance(999);
  await far.write({ kind: "beat" });
  await clock.advance(1_999);
  await far.write({ kind: "granted", facts: FACTS, processId: 1, loadNs: 0 });
  (await acquiring).release();
});

Deno.test("A node's own stall is not taken for the silence of others", async () => {
  const { acquire, clock } = stage();
  const lease = await acquire();
  clock.stall(10_000);
  await clock.advance(0);
  assert.deepEqual(await lease.model.tokenize("a", { addSpecial: true }), [97]);
});

Deno.test("An asking node that dies without a word gives its slot back within 6 s", async () => {
  const { connect, driver, clock } = stage();
  const messages = await speak(connect());
  await settle();
  await messages.write({ kind: "generate", id: 1, request: SEQUENCE });
  await clock.advance(5_999);
  assert.equal(driver.released, 0);
  await clock.advance(2);
  assert.equal(driver.released, 1);
});

Deno.test("A lost connection frees the slot at once, and what runs on it ends", async () => {
  const { acquire, driver, pairs, clock } = stage();
  driver.stallsAfter = 2;
  const lease = await acquire();
  const failed = assert.rejects(read(lease.model.generate(SEQUENCE, never)), {
    code: "runner_lost",
  });
  await settle();
  pairs[0]?.far.reset();
  await failed;
  await settle();
  assert.deepEqual([driver.released, driver.produced], [1, 2]);
  assert.equal(clock.pendingCount, 0, "no timer outlives its lease");
});

Deno.test("A doubted peer that goes on speaking keeps what runs there", async () => {
  const { acquire, leases, driver, clock } = stage();
  driver.stallsAfter = 1;
  const lease = await acquire();
  let isLost = false;
  void lease.model.exited.then(() => isLost = true);
  for (let doubts = 0; doubts < 20; doubts++) {
    leases.onPeerDoubted(SERVING);
    await clock.advance(330);
  }
  assert.equal(isLost, false);
  leases.onPeerGone(SERVING);
  await settle();
  assert.equal(isLost, true);
});

Deno.test("A doubted peer that says nothing is given up soon where another could go on, else when it is gone", async () => {
  const clock = new HandClock();
  const leases = new RemoteLeases({
    clock,
    transport: {
      openStream: async () => {
        const { near, far } = streamPair(ASKING, SERVING, 1000);
        const said = { kind: "granted", facts: FACTS, processId: 1, loadNs: 0 };
        await new MessageStream(far).write(said);
        return near;
      },
    },
  });
  // Whoever could not when it was asked for may be able to by now.
  const read1 = async (couldGoOn: boolean) => {
    const patient = {
      ...PEER,
      isReplaceable: !couldGoOn,
      couldGoOnElsewhere: (facts: LoadedFacts | undefined) => couldGoOn && facts !== undefined,
    };
    const lease = await leases.acquire(patient, REQUEST, never);
    return read(lease.model.generate(SEQUENCE, never));
  };
  const replaceable = assert.rejects(read1(true), { code: "runner_lost" });
  let isLost = false;
  const only = assert.rejects(read1(false).finally(() => isLost = true), { code: "runner_lost" });
  await clock.advance(300);
  leases.onPeerDoubted(SERVING);
  // Of its last word, not of the doubt.
  await clock.advance(100);
  await replaceable;
  await settle();
  assert.equal(isLost, false);
  leases.onPeerGone(SERVING);
  await only;
});

Deno.test("A peer that gossip declares dead is given up at once, on both sides", async () => {
  const { acquire, leases, server, driver } = stage();
  driver.stallsAfter = 1;
  const lease = await acquire();
  const failed = assert.rejects(read(lease.model.generate(SEQUENCE, never)), {
    code: "runner_lost",
  });
  await settle();
  leases.onPeerGone("cccccccccccccccc" as NodeId);
  server.dropPeer("cccccccccccccccc" as NodeId);
  await settle();
  assert.equal(driver.released, 0);
  leases.onPeerGone(SERVING);
  await failed;
  await acquire();
  server.dropPeer(ASKING);
  await settle();
  assert.equal(driver.released, 2);
});

Deno.test("A runner that dies on its node is told as lost on both", async () => {
  const { acquire, driver } = stage();
  driver.dies = true;
  const lease = await acquire();
  await assert.rejects(read(lease.model.generate(SEQUENCE, never)), {
    code: "runner_lost",
    message: "it was killed",
  });
  lease.lost();
  await settle();
  assert.deepEqual([driver.lost, driver.released], [1, 0]);
});

Deno.test("A slow reader makes the serving node wait, and loses nothing", async () => {
  const { acquire, driver, clock } = stage();
  driver.tokens = new Array(20_000).fill("x");
  const lease = await acquire();
  const events = lease.model.generate(SEQUENCE, never)[Symbol.asyncIterator]();
  await events.next();
  for (let turn = 0; turn < 20; turn++) await clock.advance(1_000);
  assert.ok(driver.produced < 2_000, `${driver.produced} tokens were produced for nobody`);
  let text = "";
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    if (next.value.kind === "tokens") text += "x".repeat(next.value.tokens.length);
  }
  assert.equal(text.length, 20_000);
});

Deno.test("A reader that leaves tokens unread does not hold up the lease", async () => {
  const { acquire, driver } = stage();
  driver.tokens = new Array(20_000).fill("x");
  const lease = await acquire();
  const events = lease.model.generate(SEQUENCE, never)[Symbol.asyncIterator]();
  await events.next();
  for (let before = -1; before < driver.produced;) {
    before = driver.produced;
    await settle();
  }
  await events.return?.();
  assert.deepEqual(await lease.model.tokenize("a", { addSpecial: true }), [97]);
});

for (
  const [what, messages] of [
    ["no known kind", [{ kind: "explode" }]],
    ["a wrong shape", [{ kind: "tokenize", id: 1, text: 7, addSpecial: true }]],
    ["a sequence with a wrong sampler", [{
      kind: "generate",
      id: 1,
      request: { ...SEQUENCE, sampler: { ...SEQUENCE.sampler, seed: -1 } },
    }]],
    ["one number twice", [
      { kind: "generate", id: 1, request: SEQUENCE },
      { kind: "generate", id: 1, request: SEQUENCE },
    ]],
    [
      "too many commands at once",
      Array.from({ length: 33 }, (_, id) => ({
        kind: "generate",
        id: id + 1,
        request: SEQUENCE,
      })),
    ],
  ] as const
) {
  Deno.test(`A lease on which a peer sends ${what} ends, and its slot is free`, async () => {
    const { connect, driver, malformed } = stage();
    driver.stallsAfter = 0;
    const pair = connect();
    const stream = await speak(pair);
    await settle();
    for (const message of messages) await stream.write(message).catch(() => {});
    await settle();
    assert.ok(pair.isReset());
    assert.deepEqual([driver.released, malformed()], [1, 1]);
  });
}

for (
  const [what, opening] of [
    ["no digest", openingOf({ manifestDigest: "zz" })],
    ["a load of nonsense", openingOf({ load: { ...REQUEST.wanted.load, slots: 0 } })],
    ["another version", openingOf({ version: 2 })],
    ["a standing of its own", openingOf({ standing: "first" })],
  ] as const
) {
  Deno.test(`An opening with ${what} is refused before anything is asked of the scheduler`, async () => {
    const { connect, driver, malformed } = stage();
    const pair = connect();
    await speak(pair, opening);
    await settle();
    assert.ok(pair.isReset());
    assert.deepEqual([driver.asked.length, malformed()], [0, 1]);
  });
}

Deno.test("A bug under a lease frees its slot and is in the log by name", async () => {
  const { connect, driver, telemetry } = stage();
  const pair = connect();
  pair.far.read = () => Promise.reject(new InvariantError("Planted"));
  await speak(pair);
  await settle();
  assert.equal(driver.released, driver.asked.length);
  const told = telemetry.lines.find(({ event }) => event === "peer_stream_failed");
  assert.deepEqual([told?.level, told?.values.reason], ["error", "Planted"]);
});

Deno.test("A command before the slot is held ends the lease", async () => {
  const { connect, driver, malformed } = stage();
  driver.grants = false;
  const stream = await speak(connect());
  await stream.write({ kind: "generate", id: 1, request: SEQUENCE });
  await settle();
  assert.equal(malformed(), 1);
});

for (
  const [what, reply] of [
    ["no known kind", { kind: "explode" }],
    ["facts of a wrong shape", { kind: "granted", facts: {}, processId: 1, loadNs: 0 }],
  ] as const
) {
  Deno.test(`A serving node that sends ${what} is not believed`, async () => {
    const clock = new HandClock();
    const pair = streamPair(ASKING, SERVING);
    const leases = new RemoteLeases({
      clock,
      transport: { openStream: () => Promise.resolve(pair.near) },
    });
    const failed = assert.rejects(leases.acquire(PEER, REQUEST, never), {
      name: "PeerError",
      code: "malformed_frame",
    });
    await pair.far.read();
    await new MessageStream(pair.far).write(reply);
    await failed;
    assert.equal(clock.pendingCount, 0);
  });
}

Deno.test("RemoteLeases sends a peer as many leases as its limit says, and no more", async () => {
  assert.ok(LEASES_PER_PEER_MAX >= 200, "200 clients of one node that stream from another one fit");
  const { acquire, leases, driver } = stage();
  for (let count = 0; count < LEASES_PER_PEER_MAX; count++) await acquire();
  await assert.rejects(acquire(), { code: "queue_full" });
  leases.close();
  await settle();
  assert.equal(driver.released, LEASES_PER_PEER_MAX);
  await assert.rejects(acquire(), { code: "stopping" });
});

Deno.test("A node that grants a slot at once says nothing else before, and one that can't says soon that it is there", async () => {
  for (const grants of [true, false]) {
    const { clock, driver, connect } = stage();
    driver.grants = grants;
    const near = await speak(connect());
    const first = near.read();
    await clock.advance(20);
    assert.match(JSON.stringify(await first), grants ? /"granted"/ : /"beat"/);
    near.reset();
    await settle();
  }
});
