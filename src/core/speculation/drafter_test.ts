import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import { DRAFT_TOKENS_MAX, DraftCosts, DRAFTED_ROWS } from "./draft_costs.ts";
import { Drafter } from "./drafter.ts";

/** As many as there is room for. */
const FREE = { draftTokens: (_: number, tokensMax: number) => tokensMax };
const SLOW = [1.9, 3, 5, 8.5];
const FAST = [1.05, 1.1, 1.3, 1.8];

const range = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at);

Deno.test("Drafter goes on as the prompt did where its last three tokens were said before", () => {
  const drafter = new Drafter([...range(100, 20), 7, 100, 101]);
  assert.deepEqual(drafter.draft(FREE, 4), [], "two tokens are no proof");
  drafter.take(102);
  assert.deepEqual(drafter.draft(FREE, 4), [103, 104, 105, 106]);
  assert.equal(drafter.draft(FREE, 100).length, DRAFT_TOKENS_MAX);
  assert.deepEqual(drafter.draft(FREE, 0), []);
  drafter.take(103);
  assert.deepEqual(drafter.draft(FREE, 2), [104, 105]);
  drafter.take(8);
  assert.deepEqual(drafter.draft(FREE, 2), [], "it went another way");
});

Deno.test("Drafter goes on as the answer did the last time", () => {
  const drafter = new Drafter([1, 2, 3, 50, 9, 1, 2, 3, 60, 61, 9]);
  for (const token of [1, 2, 3]) drafter.take(token);
  assert.deepEqual(drafter.draft(FREE, 2), [60, 61]);
});

Deno.test("Drafter goes on with what repeats itself, however short it is", () => {
  const drafter = new Drafter([5, 6, 5, 6, 5, 6, 5]);
  assert.deepEqual(drafter.draft(FREE, 6), [6, 5, 6, 5, 6, 5]);
});

Deno.test("Drafter knows how often it was right before it has cost anything", () => {
  const text = range(0, 200);
  const drafter = new Drafter([...text, 999, ...text.slice(0, 3)]);
  assert.equal(drafter.rate, 0);
  for (const token of text.slice(3, 40)) drafter.take(token);
  const { rate } = drafter;
  assert.ok(rate > 0.9);
  drafter.take(777);
  assert.ok(drafter.rate < rate - 0.05);
  const once = drafter.rate;
  drafter.take(778);
  assert.equal(drafter.rate, once, "where it guessed nothing it wasn't wrong");
});

Deno.test("Drafter remembers the newest tokens of an answer without end", () => {
  const drafter = new Drafter([1, 2, 3, 4, 5]);
  for (let token = 10; token < 200_000; token++) drafter.take(token);
  for (const token of [1, 2, 3]) drafter.take(token);
  assert.deepEqual(drafter.draft(FREE, 1), []);
  for (const token of [150_000, 150_001, 150_002]) drafter.take(token);
  assert.deepEqual(drafter.draft(FREE, 1), [150_003]);
});

/** What an answer takes in batches of one row, as a runner computes it, beside the number of its tokens. */
function played(
  answer: readonly number[],
  how: {
    readonly prompt: readonly number[];
    readonly told: readonly number[];
    readonly costs: readonly number[];
  },
): number {
  const costs = new DraftCosts(how.told);
  const drafter = new Drafter(how.prompt);
  let spent = 0;
  for (let at = 0; at < answer.length;) {
    const draft = drafter.draft(costs, answer.length - at - 1);
    const rows = draft.length + 1;
    const index = DRAFTED_ROWS.findIndex((each) => each === rows);
    const cost = how.costs[index] ?? 1;
    costs.took(rows, 10 * cost);
    spent += cost;
    let accepted = 0;
    while (accepted < draft.length && draft[accepted] === answer[at + accepted]) accepted++;
    for (const token of answer.slice(at, at + accepted + 1)) drafter.take(token);
    at += accepted + 1;
  }
  return spent / answer.length;
}

/** Any tokens, of which every so many one is another when they are said again. */
function texts(
  copied: number,
): { readonly prompt: readonly number[]; readonly answer: readonly number[] } {
  const random = new Random(5);
  const prompt = Array.from({ length: 600 }, () => random.below(300));
  const answer = prompt.map((token) =>
    random.below(1_000) < 1_000 * copied ? token : 5_000 + random.below(300)
  );
  return { prompt, answer: prompt.slice(0, 3).concat(answer) };
}

Deno.test("an answer that copies takes less, and no answer takes more by 2 %", () => {
  const spent = (copied: number, costs: readonly number[], told = costs) =>
    played(texts(copied).answer, { prompt: texts(copied).prompt, told, costs });
  assert.ok(spent(1, SLOW) < 0.65, `${spent(1, SLOW)}`);
  assert.ok(spent(1, FAST) < 0.2, `${spent(1, FAST)}`);
  assert.ok(spent(0.9, FAST) < 0.5, `${spent(0.9, FAST)}`);
  for (const costs of [SLOW, FAST, [1.7, 2.5, 4, 7.5], [2.1, 3.4, 6.1, 11.2], [2, 4, 8, 16]]) {
    for (const copied of [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1]) {
      assert.ok(spent(copied, costs) < 1.02, `${costs}, ${copied}: ${spent(copied, costs)}`);
    }
  }
});

Deno.test("an answer takes little more where the proof told less than rows cost now", () => {
  const { prompt, answer } = texts(1);
  const all = Array.from({ length: 5 }, () => answer).flat();
  const spent = played(all, { prompt, told: FAST, costs: [2, 4, 8, 16] });
  assert.ok(spent < 1.1, `${spent}`);
});
