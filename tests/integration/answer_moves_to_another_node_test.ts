import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { ensureEmbeddedModel } from "../../src/models/mod.ts";
import type { StoredModels } from "../../src/node/assembly/mod.ts";
import type {
  AnswerChunk,
  Engine,
  GenerateRequest,
  RequestOptions,
  TokenLogprobRow,
} from "../../src/ports/mod.ts";
import type { ExactProof } from "../../src/protocol/mod.ts";
import { openBlobStore, openModelCatalog } from "../../src/storage/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { startEngine, TINY_PATH } from "./engine_harness.ts";

const KILLS = 6;
const PROMPTS = ["Tell me a story about a fox.", "Write a poem.", "What is Raft?"];
const never = new AbortController().signal;
const quiet = { log() {} };
/** Of the first load of all nodes, for the others. */
const proofs: ExactProof[] = [];

/** A folder with the model that ships with the program. */
async function tinyIn(folder: string): Promise<StoredModels> {
  const blobs = await openBlobStore(folder, { log: quiet, nowMs: Date.now, noPrune: true });
  const catalog = await openModelCatalog(folder);
  return {
    blobs,
    catalog,
    addEmbedded: () => ensureEmbeddedModel({ blobs, catalog, ggufPath: TINY_PATH, log: quiet }),
    freeBytes: () => Promise.resolve(undefined),
    prune: () => Promise.resolve(),
  };
}

/** An engine that tells of tokens before it hands them on. */
function telling(engine: Engine, onTokens: (count: number) => void): Engine {
  return {
    async load(settings, options) {
      const model = await engine.load({ ...settings, proofs }, options);
      if (model.proof !== undefined) proofs.push(model.proof);
      return {
        facts: model.facts,
        processId: model.processId,
        exited: model.exited,
        async *generate(request, signal) {
          for await (const event of model.generate(request, signal)) {
            if (event.kind === "tokens") onTokens(event.tokens.length);
            yield event;
          }
        },
        embed: (inputs, how) => model.embed(inputs, how),
        tokenize: (text, how) => model.tokenize(text, how),
        detokenize: (tokens) => model.detokenize(tokens),
        unload: () => model.unload(),
      };
    },
  };
}

/** The node that tells the last of these tokens dies with it; Infinity = none does. */
interface Fuse {
  tokensLeft: number;
}

/** Three nodes; all but the first hold the model. */
async function threeNodes(folder: string, fuse: Fuse): Promise<NodeWorld> {
  const burn = (number: number, count: number) => {
    fuse.tokensLeft -= count;
    if (fuse.tokensLeft > 0) return;
    fuse.tokensLeft = Infinity;
    world.crash(number);
  };
  const world = await NodeWorld.start(3, {
    mode: "prompt",
    flags: { contextTokens: "512" },
    engine: (_clock, number) => telling(startEngine(), (count) => burn(number, count)),
    ports: (number) => number === 1 ? {} : { openModels: () => tinyIn(folder) },
  });
  await world.until("both holders are known", () => {
    const { cluster, machinery } = world.node(1);
    const [model] = machinery.group.catalogue.models();
    return cluster.views.holders(model?.manifestDigest ?? "").length === 2;
  });
  return world;
}

function ask(prompt: string, options: RequestOptions = {}): GenerateRequest {
  return {
    model: "tiny",
    prompt,
    suffix: "",
    raw: false,
    images: [],
    options: { numPredict: 60, ...options },
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
      const random = new Random(3);
      const undisturbed = new Map<string, string>();
      for (let round = 0; round <= KILLS; round++) {
        const fuse: Fuse = { tokensLeft: Infinity };
        await using world = await threeNodes(folder, fuse);
        const { api } = world.node(1);
        const read = async (prompt: string) => {
          const answer = await api.generate(ask(prompt), never);
          assert.ok(answer.kind === "stream");
          let text = "";
          let done: AnswerChunk | undefined;
          for await (const chunk of answer.chunks) {
            if (chunk.kind === "text") text += chunk.content;
            else done = chunk;
          }
          assert.ok(done !== undefined);
          return text;
        };
        if (round === 0) {
          for (const prompt of PROMPTS) undisturbed.set(prompt, await read(prompt));
          continue;
        }
        const prompt = PROMPTS[round % PROMPTS.length] ?? "";
        fuse.tokensLeft = 1 + random.below(8);
        const text = await read(prompt);
        assert.equal(fuse.tokensLeft, Infinity, "nobody died");
        assert.equal(text, undisturbed.get(prompt), `round ${round}`);
        assert.deepEqual(
          world.machine(1).telemetry.lines.filter(({ event }) => event === "answer_lost_its_runner")
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

/** More tokens than a tile of flash attention has rows. */
const LONG = Array.from({ length: 12 }, (_, index) => `Fox number ${index} is red.`).join(" ");

Deno.test({
  name:
    "An exact answer that is drawn is the same on each node, and when the node that computes it dies",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const fuse: Fuse = { tokensLeft: Infinity };
      await using world = await threeNodes(folder, fuse);
      const { api } = world.node(1);
      const read = async () => {
        const options = { exact: true, seed: 5, temperature: 1.2 };
        const request = { ...ask(`Tell me about foxes. ${LONG}`, options), topLogprobs: 3 };
        const answer = await api.generate(request, never);
        assert.ok(answer.kind === "stream");
        // Each bit shows in them.
        const logprobs: TokenLogprobRow[] = [];
        for await (const chunk of answer.chunks) {
          if (chunk.kind === "text") logprobs.push(...chunk.logprobs ?? []);
        }
        assert.equal(answer.exact?.(), true);
        return { logprobs, by: answer.servedBy?.() };
      };
      const first = await read();
      assert.ok(first.logprobs.length > 3);
      assert.deepEqual((await read()).logprobs, first.logprobs, "its prompt is computed already");
      fuse.tokensLeft = 3;
      const moved = await read();
      assert.equal(fuse.tokensLeft, Infinity, "a node died");
      assert.deepEqual(moved.logprobs, first.logprobs, "it went on elsewhere");
      const other = await read();
      assert.deepEqual(other.logprobs, first.logprobs);
      assert.notEqual(other.by, first.by);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
