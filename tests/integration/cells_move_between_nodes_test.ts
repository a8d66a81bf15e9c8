import assert from "node:assert/strict";
import { join } from "node:path";
import type { NodeId } from "../../src/base/mod.ts";
import { StreamRouter } from "../../src/calls/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import type { LoadSettings } from "../../src/protocol/mod.ts";
import { CellMoves } from "../../src/slots/mod.ts";
import { openCellFiles } from "../../src/storage/mod.ts";
import { STILL_CLOCK as clock } from "../harness/scripted_client.ts";
import { streamPair } from "../harness/peer_streams.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { askTiny, readAnswer, startEngine, TINY_SETTINGS } from "./engine_harness.ts";

const PROMPT = {
  kind: "tokens",
  tokens: Array.from({ length: 900 }, (_, at) => 300 + (at * 7) % 200),
} as const;
const ASKED = askTiny("", { prompt: PROMPT, predictTokensMax: 16 });
/** A node's part in moving cells, an engine over it, and a folder of its own. */
class MovingNode {
  readonly telemetry = new RecordingTelemetry();
  readonly router: StreamRouter;
  readonly moves: CellMoves;
  readonly engine;
  readonly nodeId: NodeId;

  constructor(number: number, folder: string) {
    this.nodeId = String(number).padStart(16, "0") as NodeId;
    const telling = { log: this.telemetry, metrics: this.telemetry, clock };
    this.router = new StreamRouter(telling);
    const store = openCellFiles(folder, { cacheDiskBytes: 64 * 1024 ** 2, cacheEncrypt: false });
    this.moves = new CellMoves({ ...telling, store });
    const kept = { cacheMemoryBytes: () => 64 * 1024 ** 2, cells: store, cellPeers: this.moves };
    this.engine = startEngine({}, kept);
  }

  /** From now on it reaches these. */
  meet(others: readonly MovingNode[]): void {
    this.moves.join({
      router: this.router,
      transport: {
        openStream: ({ nodeId }) => {
          const { near, far } = streamPair(this.nodeId, nodeId);
          void others.find((other) => other.nodeId === nodeId)?.router.accept(far);
          return Promise.resolve(near);
        },
      },
      views: { reachable: (nodeId) => ({ nodeId, address: "" }) },
    });
  }

  async load(changes: Partial<LoadSettings> = {}): Promise<LoadedModel> {
    const signal = new AbortController().signal;
    return await this.engine.load({ ...TINY_SETTINGS, ...changes }, { signal });
  }
}

/** Two nodes that have met. */
async function withTwo(work: (one: MovingNode, two: MovingNode, folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  const nodes = [1, 2].map((number) => new MovingNode(number, join(folder, String(number))));
  const [one, two] = nodes;
  assert.ok(one !== undefined && two !== undefined);
  for (const node of nodes) node.meet(nodes);
  try {
    await work(one, two, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a node says when it may ask another one, and how many tokens it did not compute. */
async function answerAt(
  node: MovingNode,
  { cellsAt, ...changes }: { readonly cellsAt?: readonly NodeId[] } & Partial<LoadSettings> = {},
) {
  const model = await node.load(changes);
  const { text, cachedTokens, prefix } = await readAnswer(model, {
    ...ASKED,
    ...cellsAt && { cellsAt },
  });
  await model.unload();
  return { text, cachedTokens, source: prefix?.source, end: prefix?.end };
}

async function cellFiles(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const key of Deno.readDir(folder)) {
    for await (const { name } of Deno.readDir(join(folder, key.name))) {
      paths.push(join(folder, key.name, name));
    }
  }
  return paths;
}

Deno.test("what one node computed of a prompt comes to another, which computes the last token alone and says the same", async () => {
  await withTwo(async (one, two) => {
    const from = await one.load();
    const first = await readAnswer(from, ASKED);
    assert.equal(first.cachedTokens, 0);
    const moved = await answerAt(two, { cellsAt: [one.nodeId] });
    const all = { cachedTokens: PROMPT.tokens.length - 1, source: "node", end: "whole" };
    assert.deepEqual(moved, { text: first.text, ...all });
    assert.equal(two.telemetry.total("odist_cells_moves_total", { outcome: "moved" }), 1);
    await from.unload();
  });
});

Deno.test("a node whose runners are gone gives what its disk kept, also after a restart", async () => {
  await withTwo(async (one, two, folder) => {
    const first = await answerAt(one);
    const again = new MovingNode(1, join(folder, "1"));
    again.meet([two]);
    two.meet([again]);
    const moved = await answerAt(two, { cellsAt: [one.nodeId] });
    const all = { cachedTokens: PROMPT.tokens.length - 1, source: "node", end: "whole" };
    assert.deepEqual(moved, { text: first.text, ...all });
  });
});

Deno.test("cells that changed on their way, hold for another cache, or are gone, are computed", async () => {
  await withTwo(async (one, two, folder) => {
    const first = await answerAt(one);
    const cellsAt = [one.nodeId];
    const other = await answerAt(two, { cellsAt, kvCacheType: "q8_0" });
    assert.equal(other.cachedTokens, 0, "of another cache");
    const [path = ""] = await cellFiles(join(folder, "1"));
    const bytes = await Deno.readFile(path);
    // In the cells, behind what llama.cpp looks at.
    const at = bytes.length - 1_000;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await Deno.writeFile(path, bytes);
    await Deno.remove(join(folder, "2"), { recursive: true });
    const spoilt = new MovingNode(2, join(folder, "2"));
    spoilt.meet([one]);
    assert.deepEqual(await answerAt(spoilt, { cellsAt }), first);
    assert.equal(spoilt.telemetry.total("odist_cells_moves_total", { outcome: "moved" }), 1);
    await Deno.remove(path);
    await Deno.remove(join(folder, "2"), { recursive: true });
    const alone = new MovingNode(2, join(folder, "2"));
    alone.meet([one]);
    assert.deepEqual(await answerAt(alone, { cellsAt }), first);
  });
});
