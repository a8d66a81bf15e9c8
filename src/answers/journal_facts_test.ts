import assert from "node:assert/strict";
import type { AnswerFact } from "../core/answers/mod.ts";
import type { NodeId } from "../base/mod.ts";
import { readFacts, writeFacts } from "./journal_facts.ts";

const BYTES = new TextEncoder().encode("ž");
const FACTS: readonly AnswerFact[] = [
  { kind: "begun" },
  { kind: "slot_held", nodeId: "a".repeat(64) as NodeId, loadNs: 1, nowMs: 0.5 },
  { kind: "slot_held", nodeId: undefined, loadNs: 1, nowMs: 0.5 },
  {
    kind: "prompt_shortened",
    shorter: {
      prompt: { kind: "text", text: "p", addSpecial: true, tokensBefore: [1] },
      images: [BYTES],
      onLongPrompt: "refuse",
    },
  },
  { kind: "run_started", promptTokens: [1, 2], cachedTokens: 1 },
  {
    kind: "run_started",
    promptTokens: [1, 2],
    cachedTokens: 1,
    prefix: { matchedTokens: 1, source: "disk", end: "differs" },
  },
  {
    kind: "tokens_came",
    tokens: [
      { token: 7, bytes: BYTES },
      {
        token: 8,
        bytes: BYTES,
        logprob: -1,
        topLogprobs: [{ token: 9, bytes: BYTES, logprob: -2 }],
      },
    ],
    nowMs: 3,
  },
  { kind: "failed", code: "runner_lost" },
  { kind: "handed_over" },
  { kind: "run_finished", reason: "end", prefillNs: 1, decodeNs: 2 },
  {
    ...{ kind: "run_finished", reason: "end", prefillNs: 1, decodeNs: 2 },
    drafts: { drafted: 3, accepted: 2 },
  },
];

Deno.test("readFacts() reads what writeFacts() wrote, bytes included", () => {
  const read = readFacts(writeFacts(FACTS));
  assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(FACTS)));
  const came = read.find((fact) => fact.kind === "tokens_came");
  assert.deepEqual(came?.kind === "tokens_came" && came.tokens[0]?.bytes, BYTES);
});

for (
  const [what, text] of [
    ["what is no JSON", "["],
    ["no list", "{}"],
    ["an unknown kind", '[{"kind":"nonsense"}]'],
    ["a kind that every object has", '[{"kind":"toString"}]'],
    ["tokens without bytes", '[{"kind":"tokens_came","nowMs":1,"tokens":[{"token":1}]}]'],
    [
      "bytes that are none",
      '[{"kind":"tokens_came","nowMs":1,"tokens":[{"token":1,"bytes":{"base64":"*"}}]}]',
    ],
    [
      "cells from nowhere",
      '[{"kind":"run_started","cachedTokens":0,"promptTokens":[],"prefix":{"matchedTokens":0,"source":"x","end":"whole"}}]',
    ],
    ["a token below zero", '[{"kind":"run_started","cachedTokens":0,"promptTokens":[-1]}]'],
    ["a time that is text", '[{"kind":"slot_held","loadNs":1,"nowMs":"1"}]'],
    ["the end of a reader", '[{"kind":"abandoned"}]'],
  ] as const
) {
  Deno.test(`readFacts() refuses ${what}`, () => {
    assert.throws(() => readFacts(text), { code: "invalid_request" });
  });
}
