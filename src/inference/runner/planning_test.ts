import assert from "node:assert/strict";
import fc from "fast-check";
import { imageToken } from "../../protocol/mod.ts";
import {
  awaitedPrefix,
  chooseSlot,
  matchedTokens,
  planBatch,
  prefixUse,
  type SlotCache,
  type SlotDemand,
} from "./planning.ts";

const WIDE = { batchTokens: 512, sharedPrefillTokens: 512 };
const prefill = (slot: number, pendingTokens: number, order = slot): SlotDemand => ({
  slot,
  pendingTokens,
  phase: "prefill",
  order,
});
const decode = (slot: number): SlotDemand => ({
  slot,
  pendingTokens: 1,
  phase: "decode",
  order: slot,
});
const cache = (slot: number, text: string, more: Partial<SlotCache> = {}): SlotCache => ({
  slot,
  isBusy: false,
  cachedTokens: tokens(text),
  usedOrder: slot,
  ...more,
});
const tokens = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

Deno.test("planBatch() gives each answer being written its token before any prompt", () => {
  const plan = planBatch([prefill(0, 500), decode(1), decode(2)], {
    ...WIDE,
    batchTokens: 100,
  });
  assert.deepEqual([...plan].sort(), [[0, 98], [1, 1], [2, 1]]);
});

Deno.test("planBatch() fills the batch with prompts, oldest first", () => {
  const plan = planBatch([prefill(0, 300, 2), prefill(1, 300, 1), prefill(2, 300, 3)], WIDE);
  assert.deepEqual([...plan].sort(), [[0, 212], [1, 300]]);
});

Deno.test("planBatch() bounds prompts while anybody else has work, and only then", () => {
  const limits = { batchTokens: 2048, sharedPrefillTokens: 128 };
  assert.equal(planBatch([prefill(0, 2000), decode(1)], limits).get(0), 128);
  assert.deepEqual([...planBatch([prefill(0, 100), prefill(1, 100)], limits)], [[0, 100], [1, 28]]);
  assert.equal(planBatch([prefill(0, 2000)], limits).get(0), 2000);
});

Deno.test("planBatch() never exceeds the batch or a slot's need, and leaves no room while a prompt waits", () => {
  const demand = fc.record({
    pendingTokens: fc.integer({ min: 1, max: 900 }),
    phase: fc.constantFrom("prefill" as const, "decode" as const),
    order: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(demand, { maxLength: 40 }), fc.integer({ min: 40, max: 600 }), (
      drawn,
      batchTokens,
    ) => {
      const demands = drawn.map((row, slot) => ({
        ...row,
        slot,
        pendingTokens: row.phase === "decode" ? 1 : row.pendingTokens,
      }));
      const plan = planBatch(demands, { batchTokens, sharedPrefillTokens: batchTokens });
      const planned = [...plan.values()].reduce((sum, count) => sum + count, 0);
      assert.ok(planned <= batchTokens);
      for (const row of demands) {
        const count = plan.get(row.slot) ?? 0;
        assert.ok(count <= row.pendingTokens);
        if (row.phase === "decode") assert.equal(count, 1);
      }
      const wanted = demands.reduce((sum, row) => sum + row.pendingTokens, 0);
      if (demands.every((row) => row.phase === "prefill")) {
        assert.equal(planned, Math.min(wanted, batchTokens));
      }
    }),
  );
});

Deno.test("chooseSlot() finds the slot with the longest shared prefix", () => {
  const slots = [cache(0, ""), cache(1, "abcdefX"), cache(2, "abcX")];
  assert.deepEqual(chooseSlot(slots, tokens("abcdefgh")), { slot: 1, sharedTokens: 6 });
});

Deno.test("chooseSlot() leaves the prompt's last token to be computed", () => {
  assert.deepEqual(chooseSlot([cache(0, "abcdef")], tokens("abc")), { slot: 0, sharedTokens: 2 });
});

Deno.test("chooseSlot() answers undefined while every slot is busy", () => {
  assert.equal(chooseSlot([cache(0, "ab", { isBusy: true })], tokens("ab")), undefined);
});

Deno.test("chooseSlot() does not evict a conversation for a shared template", () => {
  const long = "system:" + "x".repeat(40);
  const slots = [cache(0, long, { usedOrder: 9 }), cache(1, "other", { usedOrder: 3 })];
  assert.equal(chooseSlot(slots, tokens("system:" + "y".repeat(40)))?.slot, 1);
});

Deno.test("chooseSlot() prefers an empty slot, the lowest first, over one that holds something", () => {
  const slots = [cache(0, "zzz"), cache(1, ""), cache(2, "")];
  assert.deepEqual(chooseSlot(slots, tokens("abc")), { slot: 1, sharedTokens: 0 });
});

Deno.test("chooseSlot() copies a long prefix from a busy slot", () => {
  const shared = "s".repeat(100);
  const slots = [cache(0, shared + "a", { isBusy: true }), cache(1, "")];
  assert.deepEqual(chooseSlot(slots, tokens(shared + "b")), {
    slot: 1,
    sharedTokens: 100,
    copyFrom: 0,
  });
});

Deno.test("awaitedPrefix() names the slot that is about to compute most of what a prompt needs", () => {
  const shared = tokens("s".repeat(100));
  const promise = (slot: number, text: string) =>
    cache(slot, "", { isBusy: true, promisedTokens: tokens(text) });
  const slots = [promise(0, "s".repeat(80)), promise(1, "s".repeat(100) + "a"), cache(2, "")];
  assert.deepEqual(awaitedPrefix(slots, [...shared, 1]), { slot: 1, tokens: 100 });
});

Deno.test("awaitedPrefix() is undefined where waiting saves little: next to nothing shared, or most of it computed", () => {
  const whole = "s".repeat(100);
  const half = cache(0, "s".repeat(40), { isBusy: true, promisedTokens: tokens(whole) });
  assert.equal(awaitedPrefix([half], tokens("s".repeat(50))), undefined);
  assert.equal(awaitedPrefix([half, cache(1, "s".repeat(60))], tokens(whole)), undefined);
  assert.equal(
    awaitedPrefix([cache(0, "", { promisedTokens: tokens(whole) })], tokens(whole))?.tokens,
    99,
  );
});

Deno.test("chooseSlot() shares whole images alone, though the last token of a prompt is always computed", () => {
  const eye = Array<number>(4).fill(imageToken(0, 0));
  const cached = [{ ...cache(0, ""), cachedTokens: [1, 2, ...eye] }];
  assert.equal(chooseSlot(cached, [1, 2, ...eye])?.sharedTokens, 2);
  assert.equal(chooseSlot(cached, [1, 2, ...eye, 3])?.sharedTokens, 6);
});

Deno.test("prefixUse() tells where a prompt's beginning came from, and why no more of it", () => {
  const begun = {
    promptTokens: 100,
    matchedTokens: 60,
    reusedTokens: 60,
    from: "memory",
    isAnythingCached: true,
    isUnreadable: false,
    isUncuttable: false,
  } as const;
  const told = (changes: Partial<Parameters<typeof prefixUse>[0]>) => {
    const { source, end } = prefixUse({ ...begun, ...changes });
    return `${source} ${end}`;
  };
  assert.equal(told({}), "memory differs");
  assert.equal(told({ reusedTokens: 99, matchedTokens: 99 }), "memory whole");
  assert.equal(told({ reusedTokens: 0, matchedTokens: 0 }), "none differs");
  const nothing = { reusedTokens: 0, matchedTokens: 0, isAnythingCached: false };
  assert.equal(told(nothing), "none empty");
  assert.equal(told({ reusedTokens: 0, isUncuttable: true }), "none uncuttable");
  assert.equal(
    told({ reusedTokens: 0, isUncuttable: true, isUnreadable: true }),
    "none unreadable",
  );
  assert.equal(told({ reusedTokens: 40 }), "memory unmoved");
  assert.equal(prefixUse({ ...begun, matchedTokens: 10 }).matchedTokens, 60);
});

Deno.test("matchedTokens() counts what busy slots have computed, too", () => {
  const slots = [cache(0, "abcd", { isBusy: true }), cache(1, "ab")];
  assert.equal(matchedTokens(slots, tokens("abcx")), 3);
  assert.equal(matchedTokens([], tokens("abcx")), 0);
});
