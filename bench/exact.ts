/**
 * Whether exact answers are: random points at which another runner goes on with an answer, each compared bit by bit; what
 * each policy costs, and what the proof does.
 *
 * `deno task bench:exact [-- --models smollm2,gemma3,f16,q8_0,q4_k_m --kinds greedy --points 1000 --minutes 15 --slots 8
 * --rounds 3 --drafts 5 --records FILE --quick --write]`. The last three models are SmolLM2, quantised as `odist create --quantize` does it,
 * and kept. A kind is known by a part of its name. What was found is kept in a file, by default {@link RECORDS}, and the next run
 * goes on from there: the model with the fewest points first, until `--minutes` are over. `--rounds 0` asks for no prices, `--drafts 0`
 * not for what drafts bring, `--points 0` for no points; `--quick` is for a quiet machine and less than five minutes. `--write` puts the tables into docs/EXACT_ANSWERS.md.
 *
 * A point is one cut: a runner told 80 tokens of an answer, beside 7 others; another process, which never met that answer and is
 * killed after each round, gets the prompt and the tokens up to a random one, computes them again, alone or beside up to 7 others,
 * and goes on by two tokens. Tokens, log probabilities and those of three alternatives each are compared bit by bit.
 *
 * @module
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { Random } from "../src/base/mod.ts";
import type { LoadedModel } from "../src/ports/mod.ts";
import type { ExactPolicy, ExactProof, LoadSettings } from "../src/protocol/mod.ts";
import { comparedPoints, POINT_KINDS } from "../tests/harness/exact_points.ts";
import { toFloats } from "../tests/harness/gguf_float.ts";
import { realModel } from "../tests/harness/real_models.ts";
import {
  askTiny,
  loadTiny,
  readAnswer,
  RUNNER_COMMAND,
} from "../tests/integration/engine_harness.ts";
import { draftsOf } from "./exactness/drafts.ts";
import { pageOf } from "./exactness/page.ts";
import {
  appendRecord,
  type ExactRecord,
  type Finding,
  type PriceRecord,
  readRecords,
  tally,
} from "./exactness/records.ts";
import { describeMachine, readProcessCost } from "./measuring/machine.ts";
import { fixed } from "./measuring/stats.ts";

const RECORDS = ".cache/exact/records.jsonl";
const PAGE = new URL("../docs/EXACT_ANSWERS.md", import.meta.url);
const POLICIES: readonly ExactPolicy[] = [
  "plain",
  "short",
  "unpacked",
  "paired",
  "unpacked_paired",
];
const REAL = ["smollm2", "gemma3"] as const;
const MODELS = [...REAL, "f16", "q8_0", "q4_k_m"];
/** Tokens of a timed answer. */
const TIMED_TOKENS = 64;
/** A cell of other bits shows in the first logits behind it. */
const GOES_ON_TOKENS = 2;
const FAULT_CHARS_MAX = 2_000;

const { values } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: {
    models: { type: "string", default: MODELS.join(",") },
    points: { type: "string" },
    minutes: { type: "string", default: "15" },
    slots: { type: "string" },
    seed: { type: "string", default: "1" },
    kinds: { type: "string", default: "" },
    rounds: { type: "string" },
    drafts: { type: "string" },
    records: { type: "string" },
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const QUICK = values.quick;
const SLOTS = Number(values.slots ?? (QUICK ? 4 : 8));
const POINTS = Number(values.points ?? (QUICK ? 12 : 1000));
const ROUNDS = Number(values.rounds ?? (QUICK ? 2 : 3));
const DRAFT_ROUNDS = Number(values.drafts ?? (QUICK ? 1 : 5));
/** Of each answer: to tell one takes longer than to go on with it. */
const POINTS_PER_ANSWER = QUICK ? 6 : 24;
/** Words of a timed prompt, of about four tokens each. */
const PROMPT_WORDS = QUICK ? 60 : 300;
/** What is found in a hurry has no place among what was found in hours. */
const PATH = values.records ?? (QUICK ? ".cache/exact/quick.jsonl" : RECORDS);

async function main(): Promise<void> {
  const machine = await describeMachine();
  const bench = new Bench(await readRecords(PATH), String(machine["commit"]));
  const endMs = performance.now() + Number(values.minutes) * 60_000;
  for (const name of bench.leastFirst(values.models.split(","))) {
    if (performance.now() >= endMs) break;
    await bench.measure(name, await modelPath(name), endMs);
    if (values.write) await writePage(pageOf(bench.records, machine));
  }
  const page = pageOf(bench.records, machine);
  if (values.write) await writePage(page);
  console.log(page);
}

async function writePage(page: string): Promise<void> {
  await Deno.writeTextFile(PAGE, page);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", fileURLToPath(PAGE)] })
    .output();
}

async function modelPath(name: string): Promise<string> {
  const real = REAL.find((one) => one === name);
  return real === undefined ? await quantized(name) : (await realModel(real)).path;
}

/** SmolLM2's numbers in another precision: the same file whoever makes it, so it is kept. */
async function quantized(type: string): Promise<string> {
  const { path } = await realModel("smollm2");
  const folder = path.replace(/[^/]*$/, "");
  const target = `${folder}quantized-${type}.gguf`;
  if (await Deno.stat(target).then(() => true, () => false)) return target;
  const scratch = await Deno.makeTempDir({ dir: folder });
  try {
    const floats = `${scratch}/floats.gguf`;
    await Deno.writeFile(floats, await toFloats(await Deno.readFile(path)));
    const [program = "", ...args] = RUNNER_COMMAND;
    const words = ["--quantize", floats, `${scratch}/${type}.gguf`, type.toUpperCase(), "1"];
    const { success, stderr } = await new Deno.Command(program, { args: [...args, ...words] })
      .output();
    if (!success) throw new Error(new TextDecoder().decode(stderr).slice(-500));
    await Deno.rename(`${scratch}/${type}.gguf`, target);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  return target;
}

/** A kind of answer, by its name. */
type Kind = readonly [name: string, changes: (typeof POINT_KINDS)[string]];

function kindsAsked(): readonly Kind[] {
  const isAsked = (kind: string) => values.kinds.split(",").some((part) => kind.includes(part));
  const asked = Object.entries(POINT_KINDS).filter(([kind]) => isAsked(kind));
  if (asked.length === 0) throw new Error(`no kind is called ${values.kinds}`);
  return asked;
}

const settingsOf = (path: string) =>
  ({ modelPath: path, contextTokens: 2048, slots: SLOTS, exact: "on" }) as const;

/** Goes on where earlier runs have ended. */
class Bench {
  readonly records: ExactRecord[];
  readonly #commit: string;

  constructor(records: readonly ExactRecord[], commit: string) {
    this.records = [...records];
    this.#commit = commit;
  }

  /** Those of which the least is known come first. */
  leastFirst(models: readonly string[]): readonly string[] {
    const known = (model: string) =>
      Math.min(...kindsAsked().map(([kind]) => tally(this.records, { model, kind }).compared));
    return models.toSorted((a, b) => known(a) - known(b));
  }

  async measure(name: string, path: string, endMs: number): Promise<void> {
    const proof = this.#proofOf(name);
    await using first = await loadTiny({ ...settingsOf(path), proofs: proof ? [proof] : [] });
    const made = first.proof ?? proof;
    if (made === undefined) throw new Error("nothing was proven");
    const { numericClass } = first.facts;
    if (first.proof !== undefined) {
      const provenCpuMs = cpuMsOf(first);
      await using again = await loadTiny({ ...settingsOf(path), proofs: [made] });
      const { policy = "plain", proofMs } = made;
      const found = { is: "proof", model: name, policy, proofMs, provenCpuMs } as const;
      await this.#add(numericClass, { ...found, knownCpuMs: cpuMsOf(again) });
      await Deno.writeTextFile(proofPath(name), JSON.stringify(made));
    }
    await this.#compareAll(name, { first, path, proof: made }, endMs);
    const isKnown = (is: Finding["is"]) =>
      this.records.some((one) => one.is === is && one.model === name);
    const found: Finding[] = [];
    if (DRAFT_ROUNDS > 0 && !isKnown("drafts")) {
      const how = { proof: made, rounds: DRAFT_ROUNDS };
      found.push(...await draftsOf(name, settingsOf(path), how));
    }
    if (ROUNDS > 0 && !isKnown("price")) {
      found.push(...await pricesOf(name, settingsOf(path), made));
    }
    for (const one of found) await this.#add(numericClass, one);
  }

  /** What an earlier run proved; a runner that computes otherwise takes no notice of it. */
  #proofOf(name: string): ExactProof | undefined {
    if (!this.records.some((one) => one.is === "proof" && one.model === name)) return undefined;
    try {
      return JSON.parse(Deno.readTextFileSync(proofPath(name)));
    } catch {
      return undefined;
    }
  }

  async #add(
    numericClass: string,
    record: Finding,
  ): Promise<void> {
    const date = new Date().toISOString();
    const whole = { ...record, numericClass, commit: this.#commit, date };
    this.records.push(whole);
    await appendRecord(PATH, whole);
    console.log(JSON.stringify(record));
  }

  /** By turns, the kind with the fewest points first, until there are enough or the time is over. */
  async #compareAll(
    name: string,
    how: { readonly first: LoadedModel; readonly path: string; readonly proof: ExactProof },
    endMs: number,
  ): Promise<void> {
    const { numericClass } = how.first.facts;
    for (;;) {
      const [least] = kindsAsked()
        .map(([kind, changes]) => {
          return { kind, changes, ...tally(this.records, { model: name, kind, numericClass }) };
        })
        .toSorted((a, b) => a.compared - b.compared);
      if (least === undefined || least.compared >= POINTS || performance.now() >= endMs) return;
      const { kind, changes, nextRound: round } = least;
      // Whoever goes on is a process that met none of these answers; its end kills it.
      await using second = await loadTiny({ ...settingsOf(how.path), proofs: [how.proof] });
      const random = new Random(mixed(Number(values.seed), kind.length, round));
      const wish = { ...how, second, changes, random, slots: SLOTS };
      const counted = await compareRound(`${name}, ${kind}`, wish, {
        endMs,
        pointsMax: POINTS - least.compared,
      });
      await this.#add(numericClass, { is: "points", model: name, kind, round, ...counted });
    }
  }
}

const proofPath = (name: string) => `${PATH}.${name}.proof`;

/** Different for each round of each kind. */
function mixed(seed: number, kind: number, round: number): number {
  return seed * 1_000_003 + kind * 7_919 + round;
}

/** Processor time of a runner so far, in milliseconds. */
function cpuMsOf({ processId }: LoadedModel): number {
  return Math.round(readProcessCost(processId).cpuSeconds * 1_000);
}

async function compareRound(
  name: string,
  wish: Omit<Parameters<typeof comparedPoints>[0], "pointsPerAnswer" | "goesOnTokens">,
  limits: { readonly endMs: number; readonly pointsMax: number },
): Promise<{ readonly compared: number; readonly same: number }> {
  const points = comparedPoints({
    ...wish,
    pointsPerAnswer: POINTS_PER_ANSWER,
    goesOnTokens: GOES_ON_TOKENS,
  });
  const wanted = Math.min(SLOTS * POINTS_PER_ANSWER, limits.pointsMax);
  let [compared, same] = [0, 0];
  while (compared < wanted && performance.now() < limits.endMs) {
    const { value } = await points.next();
    compared++;
    if (isDeepStrictEqual(value.wanted, value.got)) same++;
    else console.log(`${name}:`, JSON.stringify(value).slice(0, FAULT_CHARS_MAX));
  }
  return { compared, same };
}

/** Each policy's least processor times, measured by turns, beside those of `plain`. */
async function pricesOf(
  model: string,
  settings: Partial<LoadSettings>,
  proof: ExactProof,
): Promise<readonly PriceRecord[]> {
  await using stack = new AsyncDisposableStack();
  const all = [];
  for (const policy of POLICIES) {
    const proofs = [{ ...proof, policy }];
    const loaded = stack.use(await loadTiny({ ...settings, slots: 1, proofs }));
    all.push({ policy, loaded, prefillMs: Infinity, decodeMs: Infinity });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of all) {
      const prompt = Array.from({ length: PROMPT_WORDS }, (_, at) => `w${round}${at}`).join(" ");
      one.prefillMs = Math.min(one.prefillMs, await spent(one.loaded, prompt, 1));
      // Its prompt is computed already.
      one.decodeMs = Math.min(one.decodeMs, await spent(one.loaded, prompt, TIMED_TOKENS));
    }
  }
  const [plain] = all;
  if (plain === undefined) return [];
  return all.map(({ policy, prefillMs, decodeMs }) => ({
    is: "price",
    ...{ model, policy },
    prefillRatio: Number(fixed(plain.prefillMs / prefillMs, 2)),
    decodeRatio: Number(fixed(plain.decodeMs / decodeMs, 2)),
  }));
}

/** Processor time of the runner, which says the same on a machine that others use. Milliseconds. */
async function spent(model: LoadedModel, prompt: string, tokens: number): Promise<number> {
  const before = cpuMsOf(model);
  await readAnswer(model, askTiny(prompt, { predictTokensMax: tokens }));
  return cpuMsOf(model) - before;
}

await main();
