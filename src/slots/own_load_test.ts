import assert from "node:assert/strict";
import type { Engine, LoadedModel } from "../ports/mod.ts";
import type { LoadSettings, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
import { meteredEngine, SpeedMeter } from "./own_load.ts";

const EVENTS: readonly SequenceEvent[] = [
  { kind: "started", promptTokens: Array.from({ length: 50 }, () => 1), cachedTokens: 20 },
  {
    kind: "tokens",
    tokens: Array.from({ length: 20 }, () => ({ token: 1, bytes: new Uint8Array() })),
  },
  { kind: "finished", reason: "end", prefillNs: 30e6, decodeNs: 100e6 },
];

Deno.test("meteredEngine() passes everything on and measures what was computed, not what was cached", async () => {
  const model = {
    generate: async function* () {
      yield* EVENTS;
    },
  } as unknown as LoadedModel; // A double: nothing else of it is called.
  const engine: Engine = { load: () => Promise.resolve(model) };
  const meter = new SpeedMeter();
  assert.equal(meter.decodeTokensPerMinute, 0);

  const signal = new AbortController().signal;
  const loaded = await meteredEngine(engine, meter).load({} as LoadSettings, { signal });
  const seen: SequenceEvent[] = [];
  for await (const event of loaded.generate({} as SequenceRequest, signal)) seen.push(event);

  assert.deepEqual(seen, EVENTS);
  assert.equal(meter.decodeTokensPerMinute, 12_000);
  assert.equal(meter.prefillTokensPerMinute, 60_000);
});
