/**
 * Whether exact answers are: random points at which another runner goes on with an answer, each compared bit by bit; and
 * what each policy costs.
 *
 * `deno task bench:exact [-- --models smollm2,gemma3,f16,q8_0,q4_k_m --kinds greedy --points 1000 --minutes 15 --slots 8
 * --rounds 3]`, per model. The last three are SmolLM2, quantised as `odist create --quantize` does it. A kind is known by a part
 * of its name; `--rounds 0` asks for no prices.
 *
 * @module
 */
import { isDeepStrictEqual, parseArgs } from "node:util";
import { Random } from "../src/base/mod.ts";
import type { LoadedModel } from "../src/ports/mod.ts";
import type { ExactPolicy, ExactProof, LoadSettings } from "../src/protocol/mod.ts";
import { type ComparedPoint, comparedPoints, POINT_KINDS } from "../tests/harness/exact_points.ts";
import { toFloats } from "../tests/harness/gguf_float.ts";
import { realModel } from "../tests/harness/real_models.ts";
import {
  askTiny,
  loadTiny,
  readAnswer,
  RUNNER_COMMAND,
} from "../tests/integration/engine_harness.ts";
import { describeMachine } from "./measuring/machine.ts";
import { fixed } from "./measuring/stats.ts";

const POLICIES: readonly ExactPolicy[] = [
  "plain",
  "short",
  "unpacked",
  "paired",
  "unpacked_paired",
];
const REAL = ["smollm2", "gemma3"] as const;
/** Words of a timed prompt, and tokens of a timed answer. */
const PROMPT_WORDS = 300;
const TIMED_TOKENS = 32;
/** Few, so that each kind has its turn before the time is over. */
const POINTS_PER_ANSWER = 12;
/** A cell of other bits shows in the first logits behind it. */
const GOES_ON_TOKENS = 2;
const FAULT_CHARS_MAX = 2_000;

const { values } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: {
    models: { type: "string", default: "smollm2,gemma3,f16,q8_0,q4_k_m" },
    points: { type: "string", default: "1000" },
    minutes: { type: "string", default: "15" },
    slots: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    kinds: { type: "string", default: "" },
    rounds: { type: "string", default: "3" },
  },
});
const SLOTS = Number(values.slots);
const ROUNDS = Number(values.rounds);

async function main(): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of values.models.split(",")) {
      const real = REAL.find((one) => one === name);
      const path = real === undefined
        ? await quantized(name, folder)
        : (await realModel(real)).path;
      await measure(name, path);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(await describeMachine());
}

/** SmolLM2's numbers in another precision. */
async function quantized(type: string, folder: string): Promise<string> {
  const floats = `${folder}/floats.gguf`;
  const target = `${folder}/${type}.gguf`;
  const { path } = await realModel("smollm2");
  await Deno.writeFile(floats, await toFloats(await Deno.readFile(path)));
  const [program = "", ...args] = RUNNER_COMMAND;
  const words = ["--quantize", floats, target, type.toUpperCase(), "1"];
  const { success, stderr } = await new Deno.Command(program, { args: [...args, ...words] })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).slice(-500));
  return target;
}

async function measure(name: string, modelPath: string): Promise<void> {
  const settings = { modelPath, contextTokens: 2048, slots: SLOTS, exact: "on" } as const;
  const startedMs = performance.now();
  await using first = await loadTiny({ ...settings, proofs: [] });
  const provenMs = performance.now() - startedMs;
  const { proof } = first;
  if (proof === undefined) throw new Error("nothing was proven");
  const againMs = performance.now();
  await using second = await loadTiny({ ...settings, proofs: [proof] });
  console.log(
    `${name}: ${proof.policy}, proven in ${proof.proofMs} ms (loaded in ${
      fixed(provenMs, 0)
    } ms; known already: ` +
      `${
        fixed(performance.now() - againMs, 0)
      } ms, of it ${second.facts.exactness?.proofMs} ms of proof)`,
  );
  await compareAll(name, first, second);
  await price(name, settings, proof);
}

/** By turns, each kind as often as the others, until there are enough or the time is over. */
async function compareAll(name: string, first: LoadedModel, second: LoadedModel): Promise<void> {
  const endMs = performance.now() + Number(values.minutes) * 60_000;
  const isAsked = (kind: string) => values.kinds.split(",").some((part) => kind.includes(part));
  const asked = Object.entries(POINT_KINDS).filter(([kind]) => isAsked(kind));
  if (asked.length === 0) throw new Error(`no kind is called ${values.kinds}`);
  const kinds = asked.map(([kind, changes]) => {
    const random = new Random(Number(values.seed) + kind.length);
    const wish = {
      ...{ first, second, changes, random, slots: SLOTS },
      ...{ pointsPerAnswer: POINTS_PER_ANSWER, goesOnTokens: GOES_ON_TOKENS },
    };
    return { kind, points: comparedPoints(wish), compared: 0, same: 0 };
  });
  const isOver = () =>
    performance.now() > endMs || kinds.every(({ compared }) => compared >= Number(values.points));
  while (!isOver()) {
    for (const one of kinds) {
      await compareRound(`${name}, ${one.kind}`, one, endMs);
    }
  }
}

async function compareRound(
  name: string,
  tried: { readonly points: AsyncGenerator<ComparedPoint, never>; compared: number; same: number },
  endMs: number,
): Promise<void> {
  for (let left = SLOTS * POINTS_PER_ANSWER; left > 0 && performance.now() < endMs; left--) {
    const { value } = await tried.points.next();
    tried.compared++;
    if (isDeepStrictEqual(value.wanted, value.got)) tried.same++;
    else console.log(`${name}:`, JSON.stringify(value).slice(0, FAULT_CHARS_MAX));
  }
  console.log(`${name}: ${tried.same} of ${tried.compared} points the same`);
}

/** Each policy's least times, measured by turns, beside those of `plain`. */
async function price(
  name: string,
  settings: Partial<LoadSettings>,
  proof: ExactProof,
): Promise<void> {
  if (ROUNDS === 0) return;
  await using stack = new AsyncDisposableStack();
  const all = [];
  for (const policy of POLICIES) {
    const proofs = [{ ...proof, policy }];
    const model = stack.use(await loadTiny({ ...settings, slots: 1, proofs }));
    all.push({ policy, model, prefillMs: Infinity, decodeMs: Infinity });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of all) {
      const prompt = Array.from({ length: PROMPT_WORDS }, (_, at) => `w${round}${at}`).join(" ");
      one.prefillMs = Math.min(one.prefillMs, await timed(one.model, prompt, 1));
      one.decodeMs = Math.min(one.decodeMs, await timed(one.model, prompt, TIMED_TOKENS));
    }
  }
  const [plain] = all;
  if (plain === undefined) return;
  for (const { policy, prefillMs, decodeMs } of all) {
    const prefill = fixed(plain.prefillMs / prefillMs, 2);
    console.log(`| ${name} | ${policy} | ${prefill} | ${fixed(plain.decodeMs / decodeMs, 2)} |`);
  }
}

async function timed(model: LoadedModel, prompt: string, tokens: number): Promise<number> {
  const beganMs = performance.now();
  await readAnswer(model, askTiny(prompt, { predictTokensMax: tokens }));
  return performance.now() - beganMs;
}

await main();
