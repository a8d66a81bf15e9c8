import assert from "node:assert/strict";
import { findPolicy, type PolicySearch } from "./find_policy.ts";
import type { PolicyTraits } from "./policies.ts";
import { PROOF_CELLS } from "./proof.ts";
import type { ProofStand } from "./stand.ts";
import { exactnessOf, isWorthAuto } from "./verdict.ts";

/** One sequence's rows of a batch, as a kernel sees them. */
interface SeenRows {
  readonly rows: number;
  /** In the batch, over both sequences. */
  readonly all: number;
  /** Cells of the sequence behind the batch. */
  readonly cells: number;
  readonly threads: number;
  readonly traits: PolicyTraits;
  /** Rows of the sequence that have an output, where it is more than its last. */
  readonly outputs?: number;
}

/** Whether a kernel sums these rows in another order than it sums all others. */
type Odd = (seen: SeenRows) => boolean;

interface Scripted {
  readonly odd: Odd;
  readonly cells?: number;
  readonly canCut?: boolean;
  readonly threads?: number;
  readonly isWorth?: PolicySearch["isWorth"];
  readonly proofMsMax?: number;
  /** Milliseconds that a batch of so many rows takes. */
  readonly costMs?: (rows: number, traits: PolicyTraits) => number;
}

/** A model whose cells remember how they were summed: what is odd shows in each later logit of its sequence. */
async function search(script: Scripted) {
  let clockMs = 0;
  let computed = 0;
  const nowMs = () => clockMs;
  const threads = script.threads ?? 1;
  const open = (traits: PolicyTraits): Promise<ProofStand> => {
    const isOdd: boolean[][] = [[], []];
    let used = traits.isSingleThread ? 1 : threads;
    return Promise.resolve({
      cells: script.cells ?? PROOF_CELLS,
      rewind(sequence, count) {
        const cells = isOdd[sequence] ?? [];
        const isCut = count < cells.length;
        if (isCut && count > 0 && script.canCut === false) return false;
        cells.length = Math.min(cells.length, count);
        return true;
      },
      compute(parts) {
        const all = parts.reduce((sum, { from, to }) => sum + to - from, 0);
        computed += all;
        clockMs += script.costMs?.(all, traits) ?? all;
        for (const { sequence, from, to } of parts) {
          const cells = isOdd[sequence] ?? [];
          assert.equal(cells.length, from, "no cell is computed twice or left out");
          const seen = { rows: to - from, all, cells: to, threads: used, traits };
          for (let position = from; position < to; position++) cells.push(script.odd(seen));
        }
        const first = isOdd[parts[0]?.sequence ?? 0] ?? [];
        return digestOf(first, first.length);
      },
      computeEach({ sequence, from, to }) {
        const count = to - from;
        computed += count;
        clockMs += script.costMs?.(count, traits) ?? count;
        const cells = isOdd[sequence] ?? [];
        assert.equal(cells.length, from, "no cell is computed twice or left out");
        const seen = { rows: count, all: count, cells: to, threads: used, traits };
        for (let position = from; position < to; position++) {
          cells.push(script.odd({ ...seen, outputs: count }));
        }
        return Array.from({ length: count }, (_, index) => digestOf(cells, from + index + 1));
      },
      useThreads: (count) => void (used = count),
      close() {},
    });
  };
  const { isWorth = () => true, proofMsMax = Infinity } = script;
  const found = await findPolicy({ open, threads, isWorth, proofMsMax, nowMs, spentMs: nowMs });
  return { found, computed };
}

function digestOf(cells: readonly boolean[], to: number): string {
  return `${to}:${cells.slice(0, to).filter(Boolean).length}`;
}

const isTile: Odd = ({ rows }) => rows >= 64;
const isLone: Odd = ({ all }) => all === 1;

Deno.test("findPolicy() leaves a model alone whose logits depend on nothing", async () => {
  const { found } = await search({ odd: () => false });
  assert.deepEqual([found.policy, found.prefillRatio, found.anyThreads], ["plain", 1, true]);
});

Deno.test("findPolicy() measures what rows of drafts cost, beside one row", async () => {
  const costMs = (rows: number) => rows < 64 ? 2 + rows : rows;
  for (const cells of [PROOF_CELLS, 200]) {
    const { found } = await search({ odd: isTile, costMs, cells });
    assert.deepEqual(found.draftCosts?.map((cost) => cost.toFixed(2)), [
      "1.33",
      "2.00",
      "3.33",
      "6.00",
    ]);
  }
});

Deno.test("findPolicy() has no drafts where logits depend on how many of them are asked for", async () => {
  const { found } = await search({ odd: ({ outputs = 1 }) => outputs > 7 });
  assert.deepEqual([found.policy, found.draftCosts], ["plain", undefined]);
});

Deno.test("findPolicy() finds the cost of drafts in pairs, and none in a window that is too short for them", async () => {
  const paired = await search({ odd: isLone, costMs: (rows) => rows });
  assert.equal(paired.found.policy, "paired");
  assert.deepEqual(paired.found.draftCosts, [1, 2, 4, 8]);
  const short = await search({ odd: () => false, cells: 12 });
  assert.deepEqual([short.found.policy, short.found.draftCosts], ["plain", undefined]);
});

const CASES: Readonly<Record<string, readonly [odd: Odd, policy: string | undefined]>> = {
  "long batches of one sequence": [isTile, "short"],
  "rows alone where weights are laid out anew": [
    (seen) => isTile(seen) || (seen.traits.repacks && isLone(seen)),
    "unpacked",
  ],
  "rows alone": [(seen) => isTile(seen) || isLone(seen), "paired"],
  "an odd number of rows": [({ rows }) => rows % 2 === 1, "paired"],
  "rows alone behind 512 cells": [(seen) => isLone(seen) && seen.cells > 512, "paired"],
  "rows alone behind 1,024 cells": [(seen) => isLone(seen) && seen.cells > 1_024, "paired"],
  "a cell's place": [
    ({ cells, traits, rows }) => !traits.keepsAllCells && cells > 1_024 && rows > 1,
    "short",
  ],
  "who is beside": [({ all, rows }) => all > rows, undefined],
  "the number of rows": [({ rows }) => rows > 7, undefined],
};
for (const [what, [odd, policy]] of Object.entries(CASES)) {
  Deno.test(`findPolicy() finds what is left of a model that depends on ${what}`, async () => {
    const { found } = await search({ odd });
    assert.equal(found.policy, policy, found.reason);
    assert.equal(found.isFinished, true);
  });
}

Deno.test("findPolicy() tells why there is no policy, and what it tried", async () => {
  const { found } = await search({ odd: () => false, canCut: false });
  assert.match(found.reason, /plain: its memory can't be cut; short: .*unpacked_paired: /);
  const exactness = exactnessOf({ of: "", ...found }, "on", { isNew: true });
  assert.deepEqual([exactness.isExact, exactness.reason], [false, found.reason]);
});

Deno.test("findPolicy() uses one thread where only that is exact, and tells which threads may be mixed", async () => {
  const many = await search({ odd: ({ threads, rows }) => threads > 1 && rows > 7, threads: 4 });
  assert.deepEqual([many.found.policy, many.found.anyThreads], ["single_thread", true]);
  const apart = await search({ odd: ({ threads }) => threads > 1, threads: 4 });
  assert.deepEqual([apart.found.policy, apart.found.anyThreads], ["plain", false]);
});

Deno.test("findPolicy() measures what a policy costs, and doesn't prove what is not worth it", async () => {
  // Each batch takes 40 ms more, so that two short ones cost more than a long one.
  const costMs = (rows: number) => 40 + rows;
  const whole = await search({ odd: isTile, costMs });
  assert.equal(whole.found.prefillRatio, (40 + 112) / (2 * 40 + 112));
  assert.equal(whole.found.decodeRatio, 1);
  const dear = await search({ odd: isTile, costMs: (rows) => 400 + rows, isWorth: isWorthAuto });
  assert.deepEqual([dear.found.policy, dear.found.isFinished], ["short", false]);
  assert.ok(dear.computed < whole.computed / 2, `${dear.computed} of ${whole.computed} tokens`);
  const { isExact, reason } = exactnessOf({ of: "", ...dear.found }, "auto", { isNew: true });
  assert.equal(isExact, false);
  assert.match(reason, /short\) would cost more .* prompts at 0\.56, answers at 1\.00/);
});

Deno.test("findPolicy() tells what rows in pairs cost an answer", async () => {
  const { found } = await search({ odd: (seen) => isTile(seen) || isLone(seen) });
  assert.deepEqual([found.policy, found.decodeRatio], ["paired", 0.5]);
  const { isExact } = exactnessOf({ of: "", ...found }, "auto", { isNew: true });
  assert.equal(isExact, false);
  assert.equal(exactnessOf({ of: "", ...found }, "on", { isNew: true }).isExact, true);
});

Deno.test("findPolicy() gives up a proof that would take too long", async () => {
  const { found, computed } = await search({ odd: () => false, proofMsMax: 1_000 });
  assert.deepEqual([found.policy, found.isFinished], [undefined, false]);
  assert.match(found.reason, /too long/);
  assert.ok(computed < 600, `${computed} tokens`);
});

Deno.test("findPolicy() proves as much as a short window has", async () => {
  for (const cells of [4, 8, 30, 128, 600]) {
    const { found } = await search({ odd: isTile, cells });
    assert.equal(found.policy, cells < 64 ? "plain" : "short", `${cells} cells`);
  }
});
