/**
 * Conversations with one scaffold on real nodes: what of their prompts is computed again by what the answers themselves say, and
 * how much sooner a turn begins whose prompt is known. Two models in turn; one node is killed in the middle and comes back.
 * Beside a cluster that chooses by itself, nodes that know nothing of each other behind a client that chooses, and on one
 * node llama-server with its cache of prompts in memory (`--cache-ram`; nobody kills it).
 *
 * Run by `deno task bench:conversations --real [--quick] [--model tiny] [--conversations 24] [--turns 8] [--pairs 8] [--policies odist,oracle]`. What was measured of
 * the same extent stands in `--out` and in the table, so that policies may be measured one by one.
 *
 * @module
 */
import { basename, join } from "node:path";
import { realModel } from "../../tests/harness/real_models.ts";
import { describeMachine } from "../measuring/machine.ts";
import { ROOT } from "../measuring/servers.ts";
import { fixed, median, sum } from "../measuring/stats.ts";
import {
  type BenchModels,
  type Choice,
  CHOICES,
  startCluster,
  startLlamaServers,
  startLoneNodes,
} from "./balancers.ts";
import { type Balancer, converse, type Extent, type Figures } from "./talk.ts";

/** Who is compared, by the names that `--policies` takes. */
export const REAL_POLICIES = ["odist", ...CHOICES, "odist alone", "llama-server"] as const;
type RealPolicy = typeof REAL_POLICIES[number];

/** How much is run, and where it is written. */
export interface RealWish {
  /** `smollm2` or `tiny`. */
  readonly model: string;
  readonly isQuick: boolean;
  readonly nodes: number;
  readonly conversations: number;
  readonly turns: number;
  /** See {@link Extent.pairs}. */
  readonly pairs: number;
  readonly policies: readonly string[];
  readonly outFolder: string;
}

const IN_FLIGHT = 3;
const QUICK = { conversations: 4, turns: 3, pairs: 3 };
/** In which a file names itself: behind the key stand the value's type and length. */
const HEAD_BYTES = 64 * 1_024;
const TYPE_AND_LENGTH_BYTES = 4 + 8;
const TINY_PATH = join(ROOT, "src/models/embedded/tiny.gguf");
/** SmolLM2 has a scaffold of about 1,000 tokens. Tiny takes next to no time, and what is counted is as good. */
const SIZES = {
  smollm2: { contextTokens: 4_096, scaffoldWords: 830, askedWords: 40, answerTokens: 16 },
  tiny: { contextTokens: 1_024, scaffoldWords: 120, askedWords: 12, answerTokens: 8 },
};
type Model = keyof typeof SIZES;

interface Measured extends Figures {
  readonly policy: RealPolicy;
  readonly extent: Extent & { readonly nodes: number };
}

/** The second one is another model for whoever looks at its bytes. */
async function twoModels(model: Model, folder: string): Promise<BenchModels> {
  const { path, missing } = model === "tiny"
    ? { path: TINY_PATH, missing: "" }
    : await realModel(model);
  if (missing !== "") throw new Error(`There is no model to measure with${missing}`);
  const bytes = await Deno.readFile(path);
  const key = new TextEncoder().encode("general.name");
  const head = bytes.subarray(0, HEAD_BYTES);
  const at = head.findIndex((_, from) => key.every((byte, of) => head[from + of] === byte));
  if (at < 0) throw new Error(`${basename(path)} does not name itself`);
  bytes[at + key.length + TYPE_AND_LENGTH_BYTES] = "?".charCodeAt(0);
  const other = join(folder, "other.gguf");
  await Deno.writeFile(other, bytes);
  const { contextTokens } = SIZES[model];
  return { names: ["one", "two"], paths: [path, other], contextTokens };
}

function start(
  policy: RealPolicy,
  nodes: number,
  models: BenchModels,
): Promise<Balancer & AsyncDisposable> {
  if (policy === "odist") return startCluster(nodes, models);
  if (policy === "odist alone") return startCluster(1, models);
  if (policy === "llama-server") return startLlamaServers(models);
  return startLoneNodes(nodes, models, policy satisfies Choice);
}

function lineOf({ policy, turns, known, unknown }: Measured): string {
  const all = sum(turns.map(({ promptTokens }) => promptTokens));
  const computed = all - sum(turns.map(({ cachedTokens }) => cachedTokens));
  const [knownMs = NaN, unknownMs = NaN] = [known, unknown]
    .map((some) => median(some.map(({ ttftMs }) => ttftMs)));
  return `${policy.padEnd(14)} ${String(all).padStart(8)} ${String(computed).padStart(9)} ` +
    `${`${fixed(100 * computed / all, 1)} %`.padStart(8)} ${fixed(unknownMs, 0).padStart(12)} ms ` +
    `${fixed(knownMs, 0).padStart(8)} ms ${fixed(unknownMs / knownMs, 1).padStart(7)} x ` +
    String(sum(turns.map(({ refused }) => refused))).padStart(8);
}

/** What lies in the folder of the same extent. */
async function readMeasured(
  folder: string,
  extent: Measured["extent"],
): Promise<readonly Measured[]> {
  const found: Measured[] = [];
  for (const policy of REAL_POLICIES) {
    const text = await Deno.readTextFile(fileOf(folder, policy)).catch(() => "null");
    const measured: Measured | null = JSON.parse(text);
    if (JSON.stringify(measured?.extent) === JSON.stringify(extent) && measured !== null) {
      found.push(measured);
    }
  }
  return found;
}

function fileOf(folder: string, policy: RealPolicy): string {
  return join(folder, `${policy.replaceAll(" ", "_")}.json`);
}

/** Measures, and prints what was measured. @throws RangeError for a policy or a model that is none. */
export async function measureReal(wish: RealWish): Promise<void> {
  const { model, nodes, conversations, turns, pairs, isQuick, outFolder } = wish;
  if (model !== "smollm2" && model !== "tiny") {
    throw new RangeError(`--model is smollm2 or tiny: current value is ${model}`);
  }
  const { contextTokens: _, ...sizes } = SIZES[model];
  const counts = { conversations, turns, pairs, ...isQuick && QUICK };
  const extent = { model, nodes, ...sizes, ...counts, inFlight: IN_FLIGHT };
  const policies = wish.policies.map((name) => {
    const policy = REAL_POLICIES.find((one) => one === name);
    if (policy !== undefined) return policy;
    throw new RangeError(
      `A policy is one of ${REAL_POLICIES.join(", ")}: current value is ${name}`,
    );
  });
  await Deno.mkdir(outFolder, { recursive: true });
  const folder = await Deno.makeTempDir({ prefix: "odist-bench-" });
  try {
    const models = await twoModels(model, folder);
    for (const policy of policies) {
      await using balancer = await start(policy, nodes, models);
      const figures = await converse(extent, balancer);
      const measured: Measured = { policy, extent, ...figures };
      await Deno.writeTextFile(fileOf(outFolder, policy), JSON.stringify(measured));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(JSON.stringify(await describeMachine()));
  console.log(
    `${extent.conversations} conversations of ${extent.turns} turns, ${IN_FLIGHT} at a time, with one scaffold of ${extent.scaffoldWords} words; ` +
      `two models in turn (${model}), one thread; ${nodes} nodes, one of them killed in the middle; ` +
      `"odist alone" and llama-server on one\n`,
  );
  console.log(
    "policy           prompt  computed  of them  TTFT: unknown      known    ratio  refused",
  );
  for (const measured of await readMeasured(outFolder, extent)) console.log(lineOf(measured));
}
