/**
 * What it brings to compute several tokens of an answer at once: the same answers with and without it, by turns.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { LoadedModel } from "../../src/ports/mod.ts";
import type {
  DraftUse,
  ExactProof,
  LoadSettings,
  SequenceRequest,
} from "../../src/protocol/mod.ts";
import { askTiny, loadTiny } from "../../tests/integration/engine_harness.ts";
import { readProcessCost } from "../measuring/machine.ts";
import { median } from "../measuring/stats.ts";
import type { DraftsRecord } from "./records.ts";

const ANSWER_TOKENS = 160;

const CODE = ["add", "subtract", "multiply", "divide", "remainder", "power"].map((name) =>
  `function ${name}(first: number, second: number): number {\n  return calculate("${name}", first, second);\n}\n`
).join("\n");

/** An answer that says again what is in its prompt, and one that doesn't. The number makes each round another prompt. */
const TEXTS: Readonly<Record<string, (round: number) => string>> = {
  "copies code": (round) =>
    `// file ${round}.ts\n${CODE}\n// the same file once more, word for word\n// file ${round}.ts\n` +
    CODE.slice(0, 80),
  "ordinary text": (round) =>
    `Chapter ${round}. It was late in the autumn when the old lighthouse keeper decided that`,
};

interface Measured {
  readonly said: readonly unknown[];
  readonly drafts: DraftUse | undefined;
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** One record for each text. Each ratio is time without ÷ time with drafts, the median of `rounds` of both by turns. */
export async function draftsOf(
  model: string,
  settings: Partial<LoadSettings>,
  { proof, rounds }: { readonly proof: ExactProof; readonly rounds: number },
): Promise<readonly DraftsRecord[]> {
  const how = { ...settings, slots: 1, proofs: [proof] };
  await using single = await loadTiny({ ...how, speculates: false });
  await using several = await loadTiny({ ...how, speculates: true });
  const records: DraftsRecord[] = [];
  for (const [text, promptOf] of Object.entries(TEXTS)) {
    const ratios: { readonly cpu: number; readonly wall: number }[] = [];
    let [drafted, accepted] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      const request = askTiny("", {
        prompt: { kind: "text", text: promptOf(round), addSpecial: true },
        predictTokensMax: ANSWER_TOKENS,
      });
      // Whoever comes second meets a machine that is as warm.
      const order = round % 2 === 0 ? [single, several] : [several, single];
      const [first, second] = [
        await measured(order[0], request),
        await measured(order[1], request),
      ];
      const [without, withDrafts] = round % 2 === 0 ? [first, second] : [second, first];
      assert.deepEqual(withDrafts.said, without.said, `${model}, ${text}: the same bits`);
      ratios.push({
        cpu: without.cpuMs / withDrafts.cpuMs,
        wall: without.wallMs / withDrafts.wallMs,
      });
      drafted += withDrafts.drafts?.drafted ?? 0;
      accepted += withDrafts.drafts?.accepted ?? 0;
    }
    records.push({
      is: "drafts",
      ...{ model, text, rounds, drafted, accepted },
      cpuRatio: rounded(median(ratios.map(({ cpu }) => cpu))),
      wallRatio: rounded(median(ratios.map(({ wall }) => wall))),
      costs: (proof.draftCosts ?? []).map(rounded),
    });
  }
  return records;
}

/** Behind the first token: what a prompt takes is no matter of drafts. */
async function measured(
  model: LoadedModel | undefined,
  request: SequenceRequest,
): Promise<Measured> {
  assert.ok(model !== undefined);
  const said: unknown[] = [];
  let [drafts, cpuMs, wallMs]: [DraftUse | undefined, number, number] = [undefined, NaN, NaN];
  for await (const event of model.generate(request, new AbortController().signal)) {
    if (event.kind === "tokens") {
      said.push(...event.tokens);
      if (Number.isNaN(cpuMs)) [cpuMs, wallMs] = [spentMs(model), performance.now()];
    }
    if (event.kind === "finished") ({ drafts } = event);
  }
  return {
    said,
    drafts,
    cpuMs: spentMs(model) - cpuMs,
    wallMs: performance.now() - wallMs,
  };
}

function spentMs({ processId }: LoadedModel): number {
  return readProcessCost(processId).cpuSeconds * 1_000;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
