import assert from "node:assert/strict";
import { ensureEmbeddedModel } from "../../src/models/mod.ts";
import type { StoredModels } from "../../src/node/assembly/mod.ts";
import type { Engine, GenerateRequest, RequestOptions } from "../../src/ports/mod.ts";
import type { ExactProof } from "../../src/protocol/mod.ts";
import { CellMoves } from "../../src/slots/mod.ts";
import { openBlobStore, openCellFiles, openModelCatalog } from "../../src/storage/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { testClock } from "../harness/quic_world.ts";
import { realModel } from "../harness/real_models.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { startEngine } from "./engine_harness.ts";

const never = new AbortController().signal;
const quiet = { log() {} };
const { path: smol, missing } = await realModel("smollm2");
// To prove that it is exact takes a minute of a core. Every day `tiny` does the same between two engines.
const ignore = missing !== "" || !IS_LONG;
/** Of the first load of all nodes, for the others. */
const proofs: ExactProof[] = [];
/** Chunks after which the node that computes is stopped. */
const STOPS_AFTER = 6;

async function smolIn(folder: string): Promise<StoredModels> {
  const blobs = await openBlobStore(folder, { log: quiet, nowMs: Date.now, noPrune: true });
  const catalog = await openModelCatalog(folder);
  return {
    blobs,
    catalog,
    addEmbedded: () => ensureEmbeddedModel({ blobs, catalog, ggufPath: smol, log: quiet }),
    freeBytes: () => Promise.resolve(undefined),
    prune: () => Promise.resolve(),
  };
}

/** What a node keeps of what its runners compute. */
interface Keeping {
  readonly telemetry: RecordingTelemetry;
  readonly cellMoves: CellMoves;
  readonly engine: Engine;
}

function keepingIn(folder: string): Keeping {
  const telemetry = new RecordingTelemetry();
  const store = openCellFiles(folder, { cacheDiskBytes: 256 * 1024 ** 2, cacheEncrypt: false });
  const parts = { clock: testClock, log: telemetry, metrics: telemetry, store };
  const cellMoves = new CellMoves(parts);
  const cacheMemoryBytes = () => 256 * 1024 ** 2;
  const engine = startEngine({}, { cacheMemoryBytes, cells: store, cellPeers: cellMoves });
  return {
    ...{ telemetry, cellMoves },
    engine: {
      async load(settings, options) {
        const model = await engine.load({ ...settings, proofs }, options);
        if (model.proof !== undefined) proofs.push(model.proof);
        return model;
      },
    },
  };
}

/** Three nodes; all but the first hold the model. */
async function threeNodes(folder: string) {
  const kept = new Map<number, Keeping>();
  const keeping = (number: number) => {
    const found = kept.get(number) ?? keepingIn(`${folder}/cells${number}`);
    kept.set(number, found);
    return found;
  };
  const world = await NodeWorld.start(3, {
    mode: "prompt",
    flags: { contextTokens: "2048", threads: "1" },
    engine: (_clock, number) => keeping(number).engine,
    ports: (number) => ({
      cellMoves: keeping(number).cellMoves,
      ...number > 1 && { openModels: () => smolIn(`${folder}/models`) },
    }),
  });
  await world.until("both holders are known", () => {
    const { cluster, machinery } = world.node(1);
    const [model] = machinery.group.catalogue.models();
    return cluster.views.holders(model?.manifestDigest ?? "").length === 2;
  });
  return { world, keeping };
}

const STORY = Array.from(
  { length: 24 },
  (_, index) => `House number ${index * 37} has a door of its own colour, and an owner.`,
).join(" ");

const PROMPT = `Describe a street. ${STORY} It is a street`;

function ask(prompt: string, options: RequestOptions = {}): GenerateRequest {
  return {
    model: "tiny",
    prompt,
    suffix: "",
    raw: true,
    images: [],
    options: { numPredict: 64, exact: true, ...options },
    truncate: true,
    shift: true,
    topLogprobs: -1,
    debugRenderOnly: false,
  };
}

/** An answer at node 1; `onChunk` is called with the number of each. */
async function read(
  world: NodeWorld,
  request: GenerateRequest,
  onChunk: (count: number) => void = () => {},
) {
  const answer = await world.node(1).api.generate(request, never);
  assert.ok(answer.kind === "stream");
  assert.equal(answer.exact?.(), true);
  const by = answer.servedBy?.();
  let text = "";
  let count = 0;
  for await (const chunk of answer.chunks) {
    if (chunk.kind !== "text") continue;
    text += chunk.content;
    onChunk(++count);
  }
  return { text, by, usage: answer.promptUsage?.() };
}

/** From now on a node is asked where no other can be. */
async function drain(world: NodeWorld, number: number): Promise<void> {
  await world.drain(number);
  await world.until(`n${number} is known to be drained`, () => {
    const { nodeId } = world.machine(number);
    return world.node(1).cluster.views.isDrained(nodeId);
  });
}

/** Three nodes while `work` runs. */
async function withThree(work: (nodes: Awaited<ReturnType<typeof threeNodes>>) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const nodes = await threeNodes(folder);
    await using _ = nodes.world;
    await work(nodes);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const DRAWN: Readonly<Record<string, RequestOptions>> = {
  greedy: { temperature: 0 },
  seeded: { temperature: 0.8, seed: 11 },
};

for (const [kind, options] of Object.entries(DRAWN)) {
  Deno.test({
    name:
      `An exact ${kind} answer whose node stops takes its cells along, and is the same text${missing}`,
    ignore,
    fn: () =>
      withThree(async ({ world, keeping }) => {
        await drain(world, 3);
        const request = ask(PROMPT, options);
        const alone = await read(world, request);
        const stops: Promise<void>[] = [];
        const moved = await read(world, request, (count) => {
          if (count === STOPS_AFTER) stops.push(world.stop(2));
        });
        await Promise.all(stops);
        assert.equal(stops.length, 1, "its node was stopped");
        assert.deepEqual([alone.by, moved.by], ["n2", "n2"]);
        assert.equal(moved.text, alone.text);
        const [move] = keeping(3).telemetry.of("cells_move");
        assert.equal(move?.["outcome"], "moved");
        const { promptEvalCount = Infinity } = moved.usage ?? {};
        assert.ok(Number(move?.["tokens"]) > promptEvalCount, "more than its prompt came along");
      }),
  });
}

Deno.test({
  name: `A conversation that goes on at another node is not computed there again${missing}`,
  ignore,
  fn: () =>
    withThree(async ({ world, keeping }) => {
      await drain(world, 3);
      const first = ask(PROMPT, { temperature: 0 });
      const { text } = await read(world, first);
      await world.drain(3, false);
      await drain(world, 2);
      const turn = await read(world, { ...first, prompt: `${PROMPT}${text} Who lives there?` });
      assert.equal(turn.by, "n3");
      assert.equal(keeping(3).telemetry.total("odist_cells_moves_total", { outcome: "moved" }), 1);
      const { promptEvalCount = 0, promptCachedCount = 0 } = turn.usage ?? {};
      const computed = promptEvalCount - promptCachedCount;
      assert.ok(computed > 0 && computed < 64, `${promptCachedCount} of ${promptEvalCount}`);
    }),
});
