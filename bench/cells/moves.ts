/**
 * What does it take to fetch what another node has computed of a prompt, against computing it? Two nodes' parts on loopback QUIC,
 * a runner of SmolLM2 each, with one thread; prompts of so many tokens are computed at one, then asked of the other one, which
 * may fetch, and others of the same length of which nobody knows, in turns.
 *
 * Usage: `deno task bench:moves [--tokens 1000] [--rounds 5]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { NodeId } from "../../src/base/mod.ts";
import { StreamRouter } from "../../src/calls/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import { CellMoves } from "../../src/slots/mod.ts";
import { openCellFiles } from "../../src/storage/mod.ts";
import { QuicWorld, testClock as clock } from "../../tests/harness/quic_world.ts";
import { realModel } from "../../tests/harness/real_models.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import {
  askTiny,
  readAnswer,
  startEngine,
  TINY_SETTINGS,
} from "../../tests/integration/engine_harness.ts";
import { describeMachine } from "../measuring/machine.ts";
import { fixed, median } from "../measuring/stats.ts";

const CACHE_BYTES = 1024 ** 3;
/** Tokens of plain text in SmolLM2's vocabulary, about. */
const [FIRST_TOKEN, TOKEN_COUNT] = [300, 20_000];

/** One node's part, with a loaded model. */
interface BenchNode {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly telemetry: RecordingTelemetry;
  readonly model: LoadedModel;
}

async function openNode(world: QuicWorld, by: { readonly path: string; readonly folder: string }) {
  const telemetry = new RecordingTelemetry();
  const parts = { clock, log: telemetry, metrics: telemetry };
  const router = new StreamRouter(parts);
  const ignored = () => {};
  const { nodeId, transport } = await world.open({
    onStream: (stream) => void router.accept(stream),
    onDatagram: ignored,
    onFrame: ignored,
    onSendFailed: ignored,
    onConnectionLost: ignored,
  });
  const cells = openCellFiles(by.folder, { cacheDiskBytes: CACHE_BYTES, cacheEncrypt: false });
  const moves = new CellMoves({ ...parts, store: cells });
  const others = new Map<NodeId, string>();
  const reachable = (id: NodeId) => ({ nodeId: id, address: others.get(id) ?? "" });
  moves.join({ transport, router, views: { reachable } });
  const engine = startEngine({}, {
    ...{ cells, cellPeers: moves },
    cacheMemoryBytes: () => CACHE_BYTES,
  });
  const settings = { ...TINY_SETTINGS, modelPath: by.path, contextTokens: 4_096 };
  const model = await engine.load(settings, { signal: new AbortController().signal });
  const { address } = transport;
  return { node: { nodeId, address, telemetry, model }, others };
}

/** Until the first token, and what was found computed. Milliseconds. */
async function firstToken(node: BenchNode, tokens: readonly number[], cellsAt: readonly NodeId[]) {
  const startedMs = performance.now();
  const request = askTiny("", { prompt: { kind: "tokens", tokens }, predictTokensMax: 1 });
  const { cachedTokens } = await readAnswer(node.model, { ...request, cellsAt });
  return { ms: performance.now() - startedMs, cachedTokens };
}

function drawPrompt(tokens: number): readonly number[] {
  const draw = () => FIRST_TOKEN + Math.floor(Math.random() * TOKEN_COUNT);
  return Array.from({ length: tokens }, draw);
}

async function measure(
  folder: string,
  options: { readonly tokens: number; readonly rounds: number },
) {
  const { path, missing } = await realModel("smollm2");
  if (missing !== "") throw new Error(missing);
  await QuicWorld.run({}, async (world) => {
    const from = await openNode(world, { path, folder: join(folder, "from") });
    const to = await openNode(world, { path, folder: join(folder, "to") });
    to.others.set(from.node.nodeId, from.node.address);
    const times = { computed: [] as number[], moved: [] as number[] };
    await firstToken(to.node, drawPrompt(options.tokens), []);
    for (let round = 0; round < options.rounds; round++) {
      const prompt = drawPrompt(options.tokens);
      await firstToken(from.node, prompt, []);
      const moved = await firstToken(to.node, prompt, [from.node.nodeId]);
      const computed = await firstToken(to.node, drawPrompt(options.tokens), []);
      if (moved.cachedTokens !== options.tokens - 1) {
        throw new Error(
          `${moved.cachedTokens} of ${options.tokens} tokens were fetched: ${
            JSON.stringify(to.node.telemetry.lines)
          }`,
        );
      }
      times.moved.push(moved.ms);
      times.computed.push(computed.ms);
    }
    const moves = to.node.telemetry.of("cells_move").map(({ bytes, tookMs }) => ({
      bytes,
      tookMs,
    }));
    const [moved, computed] = [median(times.moved), median(times.computed)];
    const transferMs = median(moves.map(({ tookMs }) => Number(tookMs)));
    console.log(JSON.stringify({ moves, times }));
    console.log(
      `${options.tokens} tokens: first token ${fixed(moved, 0)} ms when fetched, ` +
        `${fixed(computed, 0)} ms when computed (${fixed(computed / moved, 1)} x); ` +
        `of that ${fixed(transferMs, 0)} ms for the way`,
    );
    await Promise.all([from.node.model.unload(), to.node.model.unload()]);
  });
}

const { values } = parseArgs({
  options: {
    tokens: { type: "string", default: "1000" },
    rounds: { type: "string", default: "5" },
  },
});
console.log(JSON.stringify(await describeMachine()));
const folder = await Deno.makeTempDir();
try {
  await measure(folder, { tokens: Number(values.tokens), rounds: Number(values.rounds) });
} finally {
  await Deno.remove(folder, { recursive: true });
}
