import type { Engine } from "../../src/ports/mod.ts";
import type { LoadSettings } from "../../src/protocol/mod.ts";
import { errorMessage, isEdgeError, type Random } from "../../src/base/mod.ts";
import { damageGguf } from "./gguf_damage.ts";

/** A damaged file's load takes no longer; llama.cpp may allocate gigabytes on its word before it gives up. */
const LOAD_TIMEOUT_MS = 60_000;

/** What came of loading damaged models. */
export interface DamagedLoads {
  loaded: number;
  /** With the runner still there to say so. */
  refused: number;
  /** llama.cpp ended its process, and the node was told how. */
  died: number;
  stuck: number;
}

/**
 * Loads damaged copies of a model one after the other, each in a real runner.
 *
 * @throws Error when a load ends in anything but a model or `load_failed`.
 */
export async function loadDamaged(
  engine: Engine,
  options: {
    readonly settings: LoadSettings;
    readonly loads: number;
    readonly random: Random;
    readonly headerBytes: number;
  },
): Promise<DamagedLoads> {
  const good = await Deno.readFile(options.settings.modelPath);
  const folder = await Deno.makeTempDir({ prefix: "odist-damaged-" });
  const modelPath = `${folder}/model.gguf`;
  const seen = { loaded: 0, refused: 0, died: 0, stuck: 0 };
  try {
    for (let load = 0; load < options.loads; load++) {
      await Deno.writeFile(modelPath, damageGguf(good, options));
      seen[await loadOne(engine, { ...options.settings, modelPath })]++;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return seen;
}

async function loadOne(engine: Engine, settings: LoadSettings): Promise<keyof DamagedLoads> {
  const signal = AbortSignal.timeout(LOAD_TIMEOUT_MS);
  try {
    const model = await engine.load(settings, { signal });
    await model.unload();
    return "loaded";
  } catch (error) {
    if (signal.aborted) return "stuck";
    if (!isEdgeError(error) || error.code !== "load_failed") throw error;
    return errorMessage(error).startsWith("the runner ended") ? "died" : "refused";
  }
}
