import assert from "node:assert/strict";
import type { Engine, LoadedModel } from "../ports/mod.ts";
import type { LoadSettings, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
import { traceOf } from "../core/answers/mod.ts";
import { modelKeyOf } from "./lease.ts";
import { meteredEngine, SpeedMeter } from "./own_load.ts";

const EVENTS: readonly SequenceEvent[] = [
  { kind: "started", promptTokens: Array.from({ length: 50 }, () => 1), cachedTokens: 20 },
  {
    kind: "tokens",
    tokens: Array.from({ length: 20 }, () => ({ token: 1, bytes: new Uint8Array() })),
  },
  { kind: "finished", reason: "end", prefillNs: 30e6, decodeNs: 100e6 },
];

const ASKED = { prompt: { kind: "tokens", tokens: [1] } } as unknown as SequenceRequest; // Nothing else of it is looked at.

const SETTINGS = {
  modelPath: "/m",
  adapterPaths: [],
  mode: "generate",
} as unknown as LoadSettings; // Nothing else of it is looked at.

Deno.test("meteredEngine() passes everything on and measures what was computed, not what was cached", async () => {
  const model = {
    facts: { deviceMemoryBytes: 0 },
    exited: new Promise(() => {}),
    generate: async function* () {
      yield* EVENTS;
    },
  } as unknown as LoadedModel; // A double: nothing else of it is called.
  const engine: Engine = { load: () => Promise.resolve(model) };
  const meter = new SpeedMeter();
  assert.equal(meter.decodeTokensPerMinute, 0);

  let nowMs = 100;
  const clock = { monotonicMs: () => nowMs += 700 };
  const signal = new AbortController().signal;
  const loaded = await meteredEngine(engine, meter, { clock }).load(SETTINGS, { signal });
  const seen: SequenceEvent[] = [];
  for await (const event of loaded.generate(ASKED, signal)) seen.push(event);

  assert.deepEqual(seen, EVENTS);
  assert.equal(meter.decodeTokensPerMinute, 12_000);
  assert.equal(meter.prefillTokensPerMinute, 60_000);
  const own = { decodeTokensPerMinute: 12_000, prefillTokensPerMinute: 60_000, loadMs: 700 };
  assert.deepEqual(meter.of(modelKeyOf(SETTINGS, "generate")), own);
  const nothing = { decodeTokensPerMinute: 0, prefillTokensPerMinute: 0, loadMs: 0 };
  assert.deepEqual(meter.of(modelKeyOf({ ...SETTINGS, modelPath: "/n" }, "generate")), nothing);
});

Deno.test("SpeedMeter.bytesPerMs is what the cores read of a model that they compute alone", async () => {
  const signal = new AbortController().signal;
  const clock = { monotonicMs: () => 0 };
  const measured = async (told: Partial<LoadedModel>) => {
    const model = {
      facts: { deviceMemoryBytes: 0 },
      exited: new Promise(() => {}),
      generate: async function* () {
        yield* EVENTS;
      },
      ...told,
    } as unknown as LoadedModel; // A double: nothing else of it is called.
    const meter = new SpeedMeter();
    const engine: Engine = { load: () => Promise.resolve(model) };
    const by = { clock, tokenBytesOf: () => Promise.resolve(1_000) };
    const loaded = await meteredEngine(engine, meter, by).load(SETTINGS, { signal });
    assert.equal(meter.bytesPerMs, 0);
    for await (const _ of loaded.generate(ASKED, signal));
    return meter.bytesPerMs;
  };
  // 20 tokens in 100 ms.
  assert.equal(await measured({}), 200);
  assert.equal(await measured({ facts: { deviceMemoryBytes: 7 } as LoadedModel["facts"] }), 0);
  assert.equal(await measured({ split: {} as NonNullable<LoadedModel["split"]> }), 0);
});

Deno.test("a node knows what of texts it has computed, until the runner says otherwise or dies", async () => {
  const signal = new AbortController().signal;
  const text = "Once upon a time. ".repeat(100);
  let reused = 0;
  let end: (end: { expected: boolean; reason: string }) => void = () => {};
  const engine: Engine = {
    load: () => {
      const { promise: exited, resolve } = Promise.withResolvers<
        { expected: boolean; reason: string }
      >();
      end = resolve;
      const model = {
        ...{ facts: { deviceMemoryBytes: 0 }, exited },
        generate: async function* (): AsyncGenerator<SequenceEvent> {
          const promptTokens = Array.from({ length: text.length / 4 }, () => 1);
          const prefix = { matchedTokens: reused, source: "slot", end: "differs" } as const;
          yield { kind: "started", promptTokens, cachedTokens: reused, prefix };
          const bytes = new TextEncoder().encode(" The end. ".repeat(30));
          yield { kind: "tokens", tokens: [{ token: 1, bytes }] };
          yield { kind: "finished", reason: "end", prefillNs: 1, decodeNs: 1 };
        },
      } as unknown as LoadedModel; // A double: nothing else of it is called.
      return Promise.resolve(model);
    },
  };
  const meter = new SpeedMeter();
  const clock = { monotonicMs: () => 0 };
  const key = modelKeyOf(SETTINGS, "generate");
  const asked = (prompt: string) => ({ prompt: { kind: "text", text: prompt } }) as SequenceRequest;
  const known = (prompt: string) => meter.figures().computedChars(key, traceOf(prompt));
  const load = async (keepsOnDisk: boolean) =>
    await meteredEngine(engine, meter, { clock, keepsOnDisk }).load(SETTINGS, { signal });
  const answer = async (model: LoadedModel, prompt: string) => {
    for await (const _ of model.generate(asked(prompt), signal));
  };

  let model = await load(true);
  await answer(model, text);
  assert.equal(known(`${text}${" The end. ".repeat(30)}And then?`), 2_048, "the answer included");
  end({ expected: true, reason: "unloaded" });
  await model.exited;
  assert.equal(known(text), 1_792, "it is on the disk");
  model = await load(true);
  reused = 64;
  await answer(model, `${text.slice(0, 1_024)}${"x".repeat(776)}`);
  assert.equal(known(text), 1_024, "its end was gone, and its beginning is computed again");
  end({ expected: false, reason: "died" });
  await model.exited;
  assert.equal(known(text), 0);
  model = await load(false);
  await answer(model, text);
  end({ expected: true, reason: "unloaded" });
  await model.exited;
  assert.equal(known(text), 0, "nobody kept it");
});
