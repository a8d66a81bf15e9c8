import assert from "node:assert/strict";
import type { Engine, LoadedModel } from "../ports/mod.ts";
import type { LoadSettings, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
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

const SETTINGS = {
  modelPath: "/m",
  adapterPaths: [],
  mode: "generate",
} as unknown as LoadSettings; // Nothing else of it is looked at.

Deno.test("meteredEngine() passes everything on and measures what was computed, not what was cached", async () => {
  const model = {
    facts: { deviceMemoryBytes: 0 },
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
  for await (const event of loaded.generate({} as SequenceRequest, signal)) seen.push(event);

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
    for await (const _ of loaded.generate({} as SequenceRequest, signal));
    return meter.bytesPerMs;
  };
  // 20 tokens in 100 ms.
  assert.equal(await measured({}), 200);
  assert.equal(await measured({ facts: { deviceMemoryBytes: 7 } as LoadedModel["facts"] }), 0);
  assert.equal(await measured({ split: {} as NonNullable<LoadedModel["split"]> }), 0);
});
