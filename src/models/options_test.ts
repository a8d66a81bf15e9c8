import assert from "node:assert/strict";
import type { RequestOptions } from "../ports/mod.ts";
import { resolveOptions } from "./options.ts";

function resolve(
  request: RequestOptions,
  model: RequestOptions = {},
  trainingContextTokens = 8192,
  mode: "generate" | "embed" = "generate",
  configured = 0,
) {
  return resolveOptions({
    request,
    model,
    defaults: {
      contextTokens: configured,
      slots: 4,
      batchTokens: 0,
      flashAttention: "auto",
      kvCacheType: "f16",
    },
    bounds: { trainingContextTokens, mode },
  }, () => 77);
}

Deno.test("resolveOptions() lets the request win over the model and the model over the default", () => {
  const resolved = resolve({ temperature: 0.1 }, { temperature: 0.5, topK: 7 });
  assert.equal(resolved.sampler.temperature, 0.1);
  assert.equal(resolved.sampler.topK, 7);
  assert.equal(resolved.sampler.topP, 0.9);
});

Deno.test("resolveOptions() caps the context window at the training context", () => {
  assert.equal(resolve({ numCtx: 100_000 }).load.contextTokens, 8192);
  assert.equal(resolve({}, {}, 1024).load.contextTokens, 1024);
  assert.equal(resolve({ numCtx: 1 }).load.contextTokens, 4);
});

Deno.test("resolveOptions() bounds endless answers to ten context windows", () => {
  assert.equal(resolve({ numCtx: 100 }).predictTokensMax, 1000);
  assert.equal(resolve({ numCtx: 100, numPredict: -2 }).predictTokensMax, 1000);
  assert.equal(resolve({ numCtx: 100, numPredict: 5 }).predictTokensMax, 5);
  assert.equal(resolve({ numCtx: 100, numPredict: 1e9 }).predictTokensMax, 1000);
});

Deno.test("resolveOptions() draws a seed only when none is given", () => {
  assert.equal(resolve({}).sampler.seed, 77);
  assert.equal(resolve({ seed: -1 }).sampler.seed, 77);
  assert.equal(resolve({ seed: 0 }).sampler.seed, 0);
  assert.equal(resolve({ seed: 2 ** 33 + 5 }).sampler.seed, 5);
});

Deno.test("resolveOptions() refuses absurd values with the range and the value", () => {
  const absurd: readonly RequestOptions[] = [
    { numCtx: 1e12 },
    { numCtx: -1 },
    { temperature: -0.1 },
    { topP: 2 },
    { topK: -2 },
    { numGpu: -5 },
    { numKeep: -2 },
    { numBatch: -1 },
    { numThread: 1e9 },
    { repeatPenalty: 0 },
    { presencePenalty: 1e30 },
    { frequencyPenalty: -1e30 },
  ];
  for (const options of absurd) {
    assert.throws(() => resolve(options), /must be between .* current value is/);
  }
});

Deno.test("resolveOptions() bounds how many stop strings there are and how long they may be", () => {
  assert.equal(resolve({ stop: Array(64).fill("x".repeat(256)) }).stop.length, 64);
  for (const stop of [Array(65).fill("x"), ["x".repeat(257)]]) {
    assert.throws(() => resolve({ stop }), /at most 64 strings of at most 256 characters: got/);
  }
});

Deno.test("resolveOptions() gives embedding models a batch as long as their input may be", () => {
  for (const [trained, window] of [[8192, 8192], [1024, 1024], [32_768, 8192]] as const) {
    const { load } = resolve({}, {}, trained, "embed");
    assert.deepEqual([load.contextTokens, load.batchTokens], [window, window]);
  }
  assert.equal(resolve({ numCtx: 16_384 }, {}, 32_768, "embed").load.batchTokens, 16_384);
  assert.equal(resolve({ numCtx: 512 }, {}, 32_768, "embed").load.batchTokens, 512);
  assert.equal(resolve({}, {}, 32_768, "embed", 131_072).load.batchTokens, 8192);
  assert.equal(resolve({}, {}, 32_768, "embed", 2048).load.batchTokens, 2048);
  assert.equal(resolve({}, {}, 8192).load.batchTokens, 512);
  assert.equal(resolve({ numBatch: 64 }, {}, 8192, "embed").load.batchTokens, 64);
});

Deno.test("resolveOptions() lets answers be computed ahead where the node does and the request doesn't mind", () => {
  const wish = (
    speculate: boolean | undefined,
    configured: "auto" | "off",
    mode: "generate" | "embed",
  ) => {
    const { speculates, load } = resolveOptions({
      request: speculate === undefined ? {} : { speculate },
      model: {},
      defaults: {
        ...{ contextTokens: 0, slots: 1, batchTokens: 0, speculate: configured },
        ...{ flashAttention: "auto", kvCacheType: "f16" },
      },
      bounds: { trainingContextTokens: 0, mode },
    }, () => 0);
    return [speculates, load.speculates];
  };
  assert.deepEqual(wish(undefined, "auto", "generate"), [true, true]);
  // What a request wants must not have the model loaded again.
  assert.deepEqual(wish(false, "auto", "generate"), [false, true]);
  assert.deepEqual(wish(true, "off", "generate"), [true, undefined]);
  assert.deepEqual(wish(undefined, "auto", "embed"), [true, undefined]);
});

Deno.test("resolveOptions() wants an answer exact as the request says, else as the node is told", () => {
  const wish = (exact: boolean | undefined, configured: "auto" | "on" | "off") =>
    resolveOptions({
      request: exact === undefined ? {} : { exact },
      model: {},
      defaults: {
        ...{ contextTokens: 0, slots: 1, batchTokens: 0 },
        ...{ flashAttention: "auto", kvCacheType: "f16", exact: configured },
      },
      bounds: { trainingContextTokens: 0, mode: "generate" },
    }, () => 0).load.exact;
  assert.deepEqual([wish(undefined, "auto"), wish(undefined, "on")], ["auto", "on"]);
  assert.deepEqual([wish(true, "auto"), wish(true, "off")], ["on", "on"]);
  // Who doesn't need it is not refused what can't be had.
  assert.deepEqual([wish(false, "on"), wish(false, "auto")], ["auto", "auto"]);
  assert.deepEqual([wish(undefined, "off"), wish(false, "off")], [undefined, undefined]);
  assert.equal(resolve({ exact: true }, {}, 8192, "embed").load.exact, undefined);
});
