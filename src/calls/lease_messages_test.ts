import assert from "node:assert/strict";
import fc from "fast-check";
import { type NodeId, PeerError } from "../base/mod.ts";
import { vectorFromBytes, vectorToBytes } from "../protocol/mod.ts";
import { decodeValue, encodeValue } from "../transport/mod.ts";
import { LEASE_VERSION, readCommand, readOpening, readReply } from "./lease_messages.ts";

const SAMPLER = {
  temperature: 0.8,
  topK: 40,
  topP: 0.9,
  minP: 0,
  typicalP: 1,
  repeatLastTokens: -1,
  repeatPenalty: 1.1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 0xffff_ffff,
};
const OPENING = {
  version: LEASE_VERSION,
  requestId: "r",
  name: "tiny",
  manifestDigest: "0f".repeat(32),
  load: {
    contextTokens: 4096,
    slots: 1,
    batchTokens: 512,
    gpuLayers: -1,
    mmap: true,
    flashAttention: "auto",
    kvCacheType: "f16",
    mode: "generate",
    threads: 0,
  },
  keepAliveMs: Infinity,
  standing: "resumed",
};
const COMMANDS = [
  {
    kind: "generate",
    id: 1,
    request: {
      prompt: { kind: "text", text: "é🦊", addSpecial: false, tokensBefore: [1, 2] },
      emittedTokens: [3],
      sampler: SAMPLER,
      predictTokensMax: 40_960,
      keepTokens: -1,
      onLongPrompt: "refuse",
      onFullContext: "shift",
      grammar: "root ::= x",
      topLogprobs: 20,
      shownTags: ["[TOOL_CALLS]", "<think>"],
      cellsAt: ["0123456789abcdef" as NodeId],
    },
  },
  {
    kind: "generate",
    id: 2,
    request: {
      prompt: { kind: "tokens", tokens: [1] },
      emittedTokens: [],
      sampler: SAMPLER,
      predictTokensMax: 0,
      keepTokens: 4,
      onLongPrompt: "truncate",
      onFullContext: "stop",
      grammar: null,
      topLogprobs: -1,
    },
  },
  { kind: "cancel", id: 1 },
  { kind: "embed", id: 3, inputs: ["a", ""], onLongInput: "truncate" },
  { kind: "tokenize", id: 4, text: "a", addSpecial: true, tokensWanted: 9 },
  { kind: "detokenize", id: 5, tokens: [] },
  { kind: "beat" },
];
const REPLIES = [
  {
    kind: "granted",
    facts: {
      contextTokens: 1,
      trainingContextTokens: 1,
      vocabularyTokens: 1,
      embeddingLength: 1,
      slots: 1,
      memoryBytes: 1,
      deviceMemoryBytes: 0,
      bosText: "",
      eosText: "",
      canShift: true,
      numericClass: "c",
    },
    processId: 7,
    loadNs: 0,
  },
  { kind: "refused", error: { code: "queue_full", message: "m", status: 503, retryAfterMs: 1 } },
  { kind: "event", id: 1, event: { kind: "started", promptTokens: [1], cachedTokens: 0 } },
  {
    kind: "event",
    id: 1,
    event: {
      kind: "started",
      promptTokens: [1],
      cachedTokens: 0,
      prefix: { matchedTokens: 0, source: "node", end: "unmoved" },
    },
  },
  {
    kind: "event",
    id: 1,
    event: {
      kind: "tokens",
      tokens: [{
        token: 1,
        bytes: Uint8Array.of(0xc3),
        logprob: -Infinity,
        topLogprobs: [{ token: 2, bytes: new Uint8Array(), logprob: -1 }],
      }, { token: 2, bytes: Uint8Array.of(0xa9) }],
    },
  },
  {
    kind: "event",
    id: 1,
    event: { kind: "finished", reason: "length", prefillNs: 1.5, decodeNs: 0 },
  },
  { kind: "embedded", id: 3, vectors: [new Uint8Array(8)], promptTokens: 2 },
  { kind: "tokenized", id: 4, tokens: [1] },
  { kind: "detokenized", id: 5, bytes: Uint8Array.of(1) },
  { kind: "failed", id: 6, error: { code: "runner_lost", message: "", status: 500 } },
  { kind: "beat" },
];

Deno.test("Messages of a lease arrive as they were sent", () => {
  const carried = (value: unknown) => decodeValue(encodeValue(value));
  assert.deepEqual(readOpening(carried(OPENING)), OPENING);
  for (const command of COMMANDS) assert.deepEqual(readCommand(carried(command)), command);
  for (const reply of REPLIES) assert.deepEqual(readReply(carried(reply)), reply);
  const vector = new Float32Array([0.1, -2, 3e38]);
  const bytes = carried({ at: 1, vector: vectorToBytes(vector) }) as { vector: Uint8Array };
  assert.deepEqual(vectorFromBytes(bytes.vector), vector);
});

/** One place of a value replaced by another value. */
function spoiled(value: unknown, path: readonly number[], by: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined || typeof value !== "object" || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[first % Math.max(1, keys.length)];
  if (key === undefined || value instanceof Uint8Array) return by;
  const copy = Array.isArray(value) ? [...value] : { ...value };
  Reflect.set(copy, key, spoiled(Reflect.get(value, key), rest, by));
  return copy;
}

Deno.test("Spoiled messages of a lease are read or refused as malformed, and nothing else", () => {
  const readers = [
    { read: readOpening, values: [OPENING] },
    { read: readCommand, values: COMMANDS },
    { read: readReply, values: REPLIES },
  ];
  const path = fc.array(fc.nat(20), { maxLength: 5 });
  for (const { read, values } of readers) {
    fc.assert(
      fc.property(fc.constantFrom(...values), path, fc.anything(), (value, at, by) => {
        try {
          read(spoiled(value, at, by));
        } catch (error) {
          assert.ok(error instanceof PeerError, String(error));
        }
      }),
      { numRuns: 400 },
    );
  }
});

Deno.test("A lease of another version is refused as such, whatever else it holds", () => {
  assert.throws(() => readOpening({ version: 2 }), { code: "unknown_version" });
  assert.throws(() => readOpening({}), { code: "malformed_frame" });
});
