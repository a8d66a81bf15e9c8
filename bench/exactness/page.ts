/**
 * docs/EXACT_ANSWERS.md, of what runs of `bench:exact` have found.
 *
 * @module
 */
import { type ExactRecord, tally } from "./records.ts";

/** What the models are called there; others as they were asked for. */
const NAMES: Readonly<Record<string, string>> = {
  smollm2: "SmolLM2-135M Q4_1",
  gemma3: "Gemma-3-270M Q4_K_M",
  f16: "SmolLM2-135M F16",
  q8_0: "SmolLM2-135M Q8_0",
  q4_k_m: "SmolLM2-135M Q4_K_M",
};

/** `machine`: see `describeMachine`. */
export function pageOf(
  records: readonly ExactRecord[],
  machine: Readonly<Record<string, string | number>>,
): string {
  const commits = [...new Set(records.map(({ commit }) => commit.replace(/-dirty$/, "")))];
  const dates = records.map(({ date }) => date).toSorted();
  const { processor, cores, memory, system, deno } = machine;
  const prices = newest(
    records.filter((record) => record.is === "price"),
    ({ model, policy }) => `${model} ${policy}`,
  );
  const drafts = newest(
    records.filter((record) => record.is === "drafts"),
    ({ model, text }) => `${model} ${text}`,
  );
  const proofs = newest(records.filter((record) => record.is === "proof"), ({ model }) => model);
  return [
    "# Exact answers, counted",
    "",
    "Made by `deno task bench:exact -- --write`. SmolLM2 in other precisions is the file of Q4_1, made floats and quantised by odist.",
    "",
    "A point is one cut: a runner told 80 tokens of an answer, beside 7 others; another process, which never met that answer and is",
    "killed after each round of some hundred points, gets the prompt and the tokens up to a random one, computes them again, alone or",
    "beside up to 7 others, after whatever its slots held before, and goes on by two tokens. Tokens, their log probabilities and those of",
    "three alternatives each are compared bit by bit. One thread per runner.",
    "",
    ...pointsTable(records),
    "",
    "What a policy costs: speed by processor time of the runner beside `plain`, each the best of several rounds by turns, one thread.",
    "",
    "| model | policy | prompts | answers |",
    "|---|---|---|---|",
    ...prices.map(({ model, policy, prefillRatio, decodeRatio }) =>
      `| ${NAMES[model] ?? model} | \`${policy}\` | ${prefillRatio.toFixed(2)} | ${
        decodeRatio.toFixed(2)
      } |`
    ),
    "",
    "What the proof takes, once for each model, build and machine, and what a load takes then (processor time of the whole runner):",
    "",
    "| model | policy found | proof on the wall, s | load with proof, s | load with a known one, s |",
    "|---|---|---|---|---|",
    ...proofs.map((proof) =>
      `| ${NAMES[proof.model] ?? proof.model} | \`${proof.policy}\` | ${seconds(proof.proofMs)} | ${
        seconds(proof.provenCpuMs)
      } | ${seconds(proof.knownCpuMs)} |`
    ),
    "",
    "What it brings to compute several tokens at once where that pays (`--speculate auto`): time for an answer of 160 tokens without it",
    "÷ with it, behind the first token, medians by turns; both say the same bits. Costs are those of batches of 2, 4, 8 and 16 rows in",
    "batches of one, as the proof measured them.",
    "",
    "| model | costs | answer | processor | wall | drafted | drawn |",
    "|---|---|---|---|---|---|---|",
    ...drafts.map((one) =>
      `| ${NAMES[one.model] ?? one.model} | ${one.costs.join(", ")} | ${one.text} | ${
        one.cpuRatio.toFixed(2)
      } | ${one.wallRatio.toFixed(2)} | ${one.drafted} | ${one.accepted} |`
    ),
    "",
    `Measured from ${dates[0] ?? "–"} to ${dates.at(-1) ?? "–"} at commits ${
      commits.join(", ")
    }, processor ${processor}, cores ${cores}, memory ${memory}, load average ${
      machine["load average before"]
    } before the last run, system ${system}, deno ${deno}.`,
    "",
  ].join("\n");
}

function pointsTable(records: readonly ExactRecord[]): readonly string[] {
  const points = records.filter((record) => record.is === "points");
  const kinds = [...new Set(points.map(({ kind }) => kind))];
  const models = [...new Set(points.map(({ model }) => model))];
  let [all, same] = [0, 0];
  const rows = models.map((model) => {
    const { numericClass } = points.findLast((point) => point.model === model) ?? {};
    const cells = kinds.map((kind) => {
      const of = { model, kind, ...(numericClass === undefined ? {} : { numericClass }) };
      const found = tally(records, of);
      all += found.compared;
      same += found.same;
      return found.compared === 0 ? "–" : `${found.same} of ${found.compared}`;
    });
    return `| ${NAMES[model] ?? model} | ${cells.join(" | ")} |`;
  });
  return [
    `${same} of ${all} points the same.`,
    "",
    `| model | ${kinds.join(" | ")} |`,
    `|---|${kinds.map(() => "---|").join("")}`,
    ...rows,
  ];
}

/** The newest of each key. */
function newest<T>(all: readonly T[], keyOf: (one: T) => string): readonly T[] {
  return [...new Map(all.map((one) => [keyOf(one), one])).values()];
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
