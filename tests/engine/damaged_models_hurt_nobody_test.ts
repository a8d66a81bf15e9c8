import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { loadDamaged } from "../harness/damaged_models.ts";
import { loadTiny, startEngine, TINY_SETTINGS } from "../integration/engine_harness.ts";

/** Metadata and tensor list of `tiny`, where a fault meets a parser. */
const HEADER_BYTES = 64_000;

Deno.test("damaged models end in an error of their own load, and the next model loads", async () => {
  const seen = await loadDamaged(startEngine(), {
    settings: TINY_SETTINGS,
    loads: 8,
    random: new Random(3),
    headerBytes: HEADER_BYTES,
  });
  assert.equal(seen.stuck, 0);
  assert.ok(seen.refused + seen.died >= 4, JSON.stringify(seen));
  await using model = await loadTiny();
  assert.ok(model.facts.memoryBytes > 0);
});
