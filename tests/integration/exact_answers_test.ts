import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { schemaToGrammar } from "../../src/core/grammar/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import type { AnswerToken, ExactProof, SequenceRequest } from "../../src/protocol/mod.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { realModel } from "../harness/real_models.ts";
import { askTiny, GREEDY, loadTiny, readAnswer } from "./engine_harness.ts";

/** Random points of each kind of answer at which another runner goes on. */
const POINTS = Number(Deno.env.get("ODIST_TEST_EXACT_POINTS") ?? 3);
/** Tokens of a whole answer, and of each part that goes on with it. */
const ANSWER_TOKENS = 80;
const GOES_ON_TOKENS = 12;
const SLOTS = 3;

const SUBJECTS = ["a lighthouse", "a broken clock", "two rivers", "the last train", "a stray cat"];
/** Long enough for a batch that would be computed in tiles, and of another length each time. */
function messageOf(random: Random): string {
  const parts = Array.from({ length: random.between(4, 12) }, () => {
    const subject = SUBJECTS[random.below(SUBJECTS.length)];
    return `Mention ${subject} and the number ${random.below(10_000)}, without repeating yourself.`;
  });
  return `Write a short story. ${parts.join(" ")}`;
}

function jsonGrammar(): string {
  const result = schemaToGrammar({
    type: "object",
    properties: { title: { type: "string" }, words: { type: "array", items: { type: "string" } } },
    required: ["title", "words"],
  });
  assert.equal(result.kind, "grammar");
  return result.kind === "grammar" ? result.gbnf : "";
}

const KINDS: Readonly<Record<string, Partial<SequenceRequest>>> = {
  greedy: {},
  "at temperature 0.8": { sampler: { ...GREEDY, temperature: 0.8, seed: 42 } },
  "under a JSON schema": {
    sampler: { ...GREEDY, temperature: 0.8, seed: 7 },
    grammar: jsonGrammar(),
  },
};

/** Tokens and the log probabilities of three alternatives each, which show every bit of a difference. */
const factsOf = (tokens: readonly AnswerToken[]) =>
  tokens.map(({ token, logprob, topLogprobs }) => ({
    ...{ token, logprob },
    top: topLogprobs?.map((other) => [other.token, other.logprob]),
  }));

for (const name of ["smollm2", "gemma3"] as const) {
  const { path: modelPath, missing } = await realModel(name);
  Deno.test({
    name:
      `${name} writes the same bits alone, in a crowd, after other prompts and in another runner${missing}`,
    // Each takes half a minute of a core: those of one model show every day that the proof is made, and holds.
    ignore: missing !== "" || (name !== "smollm2" && !IS_LONG),
    async fn() {
      const proofs: ExactProof[] = [];
      const how = { modelPath, contextTokens: 2048, slots: SLOTS, exact: "on" } as const;
      await using first = await loadTiny({ ...how, proofs });
      assert.ok(first.proof !== undefined && first.facts.exactness?.isExact === true);
      await using second = await loadTiny({ ...how, proofs: [first.proof] });
      assert.equal(second.proof, undefined, "what was proven once is not proven again");
      assert.equal(second.facts.exactness?.proofMs, 0);
      assert.equal(second.facts.numericClass, first.facts.numericClass);
      let compared = 0;
      for (const [kind, changes] of Object.entries(KINDS)) {
        compared += await compareAt(POINTS, { first, second }, { kind, changes });
      }
      const { policy, proofMs, prefillRatio, decodeRatio } = first.facts.exactness;
      console.log(
        `${name}: ${compared} of ${compared} the same; ${policy}, proven in ${proofMs} ms, ` +
          `prefill ${prefillRatio.toFixed(2)}, decode ${decodeRatio.toFixed(2)}`,
      );
    },
  });
}

/** How often an answer was compared with itself, each time written in another way. */
async function compareAt(
  points: number,
  by: { readonly first: LoadedModel; readonly second: LoadedModel },
  wish: { readonly kind: string; readonly changes: Partial<SequenceRequest> },
): Promise<number> {
  const { first, second } = by;
  const random = new Random(points + wish.kind.length);
  let compared = 0;
  for (let left = points; left > 0;) {
    const request = askTiny(messageOf(random), {
      ...{ topLogprobs: 3, predictTokensMax: ANSWER_TOKENS },
      ...wish.changes,
    });
    const whole = await readAnswer(first, request);
    const wanted = factsOf(whole.tokens);
    for (let round = 0; round < 3 && left > 0; round++, left--) {
      const at = random.below(wanted.length);
      const goesOn = {
        ...request,
        prompt: { kind: "tokens", tokens: whole.promptTokens },
        emittedTokens: wanted.slice(0, at).map(({ token }) => token),
        predictTokensMax: Math.min(at + GOES_ON_TOKENS, ANSWER_TOKENS),
      } as const;
      const others = round === 0 ? [] : Array.from(
        { length: SLOTS - 1 },
        () => readAnswer(second, askTiny(messageOf(random), { predictTokensMax: 6 })),
      );
      const rest = await readAnswer(second, goesOn);
      await Promise.all(others);
      const wantedRest = wanted.slice(at, at + GOES_ON_TOKENS);
      assert.deepEqual(factsOf(rest.tokens), wantedRest, `${wish.kind}, token ${at}`);
      compared++;
    }
  }
  return compared;
}
