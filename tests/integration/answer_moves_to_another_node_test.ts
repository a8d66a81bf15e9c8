import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { createModelStore, ensureEmbeddedModel } from "../../src/models/mod.ts";
import { systemClock } from "../../src/node/clock.ts";
import type { AnswerChunk, GenerateRequest } from "../../src/ports/mod.ts";
import { openBlobStore, openModelCatalog } from "../../src/storage/mod.ts";
import { localInspector } from "../harness/local_templates.ts";
import { ServingCluster } from "../harness/serving_cluster.ts";
import { SimulatedNetwork } from "../harness/simulated_transport.ts";
import { startEngine, TINY_PATH } from "./engine_harness.ts";

const KILLS = 6;
const PROMPTS = ["Tell me a story about a fox.", "Write a poem.", "What is Raft?"];
const never = new AbortController().signal;
const quiet = { log() {} };

/** What a node's own store says of the embedded model. */
async function tinyDefinition(folder: string) {
  const blobs = await openBlobStore(folder, { log: quiet, nowMs: Date.now, noPrune: true });
  const catalog = await openModelCatalog(folder);
  await ensureEmbeddedModel({ blobs, catalog, ggufPath: TINY_PATH, log: quiet });
  const store = createModelStore({
    blobs,
    catalog,
    clock: systemClock,
    log: quiet,
    userAgent: "test",
    templates: localInspector(),
    quantizer: { quantize: () => Promise.reject(new Error("not wanted here")) },
  });
  return await store.getDefinition("tiny", "generate");
}

function ask(prompt: string): GenerateRequest {
  return {
    model: "tiny",
    prompt,
    suffix: "",
    raw: false,
    images: [],
    options: { numPredict: 60 },
    truncate: true,
    shift: true,
    topLogprobs: -1,
    debugRenderOnly: false,
  };
}

Deno.test({
  name:
    "A greedy answer is the same to the byte when the node that computes it dies at a random token",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const definition = await tinyDefinition(folder);
      const random = new Random(3);
      const undisturbed = new Map<string, string>();
      for (let round = 0; round <= KILLS; round++) {
        const network = new SimulatedNetwork({ mode: "prompt" });
        await using cluster = new ServingCluster(definition, network);
        for (const name of "abc") {
          cluster.start({ name, engine: startEngine(), holds: name !== "a", slots: 1 });
        }
        const { inference } = cluster.node("a");
        const read = async (prompt: string, killAtChunk: number) => {
          const answer = await inference.generate(ask(prompt), never);
          assert.ok(answer.kind === "stream");
          let text = "";
          let chunks = 0;
          let done: AnswerChunk | undefined;
          for await (const chunk of answer.chunks) {
            if (chunk.kind === "text") text += chunk.content;
            else done = chunk;
            if (++chunks === killAtChunk) await cluster.kill(answer.servedBy?.() ?? "");
          }
          assert.ok(done !== undefined);
          return text;
        };
        if (round === 0) {
          for (const prompt of PROMPTS) undisturbed.set(prompt, await read(prompt, Infinity));
          continue;
        }
        const prompt = PROMPTS[round % PROMPTS.length] ?? "";
        const text = await read(prompt, 1 + random.below(8));
        assert.equal(text, undisturbed.get(prompt), `round ${round}`);
        assert.deepEqual(
          cluster.node("a").telemetry.lines.filter(({ event }) =>
            event === "answer_lost_its_runner"
          )
            .length,
          1,
        );
      }
      assert.equal(new Set(undisturbed.values()).size, PROMPTS.length);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
