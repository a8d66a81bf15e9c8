/**
 * Throws damaged GGUF files at the header's reader and at real runners. What must come of each is a result or its own
 * error: `deno task fuzz:gguf`, `deno task fuzz:gguf --mutations 20000 --loads 200 --seed 1`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { isEdgeError, Random } from "../src/base/mod.ts";
import { ggufFacts, type GgufSource, isFactArray, readGguf } from "../src/models/gguf/mod.ts";
import { loadDamaged } from "./harness/damaged_models.ts";
import { damageGguf } from "./harness/gguf_damage.ts";
import { startEngine, TINY_PATH, TINY_SETTINGS } from "./integration/engine_harness.ts";

/** Metadata and tensor list of `tiny`. */
const HEADER_BYTES = 64_000;
/** A node that reads a header keeps nobody waiting for longer. */
const READ_MS_MAX = 250;

function sourceOf(bytes: Uint8Array): GgufSource {
  return {
    blobBytes: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
  };
}

/** Which arrays a read keeps. */
type Kept = Parameters<typeof readGguf>[1]["arrays"];

async function timeOfRead(bytes: Uint8Array, arrays: Kept): Promise<number> {
  const startedMs = performance.now();
  try {
    ggufFacts(await readGguf(sourceOf(bytes), { arrays }));
  } catch (error) {
    if (!isEdgeError(error) || error.code !== "invalid_gguf") throw error;
  }
  return performance.now() - startedMs;
}

/** Milliseconds of the slowest read. @throws whatever isn't `invalid_gguf`. */
async function readDamaged(count: number, random: Random): Promise<number> {
  const whole = await Deno.readFile(TINY_PATH);
  let slowestMs = 0;
  for (let round = 0; round < count; round++) {
    const damaged = damageGguf(whole, { random, headerBytes: HEADER_BYTES });
    const arrays = random.chance(1, 4) ? "all" : isFactArray;
    const tookMs = await timeOfRead(damaged, arrays);
    // A second look tells a slow file from a machine that was busy.
    const isSlow = tookMs > READ_MS_MAX;
    slowestMs = Math.max(slowestMs, isSlow ? await timeOfRead(damaged, arrays) : tookMs);
  }
  return slowestMs;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      mutations: { type: "string", default: "2000" },
      loads: { type: "string", default: "20" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
    },
  });
  const [mutations, loads, seed] = [values.mutations, values.loads, values.seed].map(Number);
  console.log(`seed ${seed}`);
  const random = new Random(seed ?? 0);
  const slowestMs = await readDamaged(mutations ?? 0, random);
  console.log(`${mutations} headers read, the slowest in ${slowestMs.toFixed(1)} ms`);
  const settings = TINY_SETTINGS;
  const seen = await loadDamaged(startEngine(), {
    settings,
    loads: loads ?? 0,
    random,
    headerBytes: HEADER_BYTES,
  });
  console.log(`${loads} loads: ${JSON.stringify(seen)}`);
  if (slowestMs > READ_MS_MAX || seen.stuck > 0) Deno.exit(1);
}
