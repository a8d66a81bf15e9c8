import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import { PrefixMemory, traceOf } from "./mod.ts";

const A = { model: "m", nodeId: "a".repeat(16) as NodeId };
const B = { model: "m", nodeId: "b".repeat(16) as NodeId };

function prompt(length: number, ending = ""): string {
  return "The same old story. ".repeat(length / 20) + ending;
}

Deno.test("PrefixMemory knows how much of a conversation a node has computed", () => {
  const memory = new PrefixMemory();
  memory.note(A, traceOf(prompt(1000)));
  assert.equal(memory.residentChars(A, traceOf(prompt(1000, "and on"))), 768);
  assert.equal(memory.residentChars(A, traceOf(prompt(400, "x".repeat(600)))), 256);
  assert.equal(memory.residentChars(A, traceOf("x".repeat(600) + prompt(1000))), 0);
  assert.equal(memory.residentChars(B, traceOf(prompt(1000))), 0);
  assert.equal(memory.residentChars({ ...A, model: "other" }, traceOf(prompt(1000))), 0);
});

Deno.test("PrefixMemory forgets what was overwritten, and what a node lost", () => {
  const memory = new PrefixMemory();
  memory.note(A, traceOf("first ".repeat(100)));
  for (let count = 0; count < 8; count++) memory.note(A, traceOf(`${count} and more `.repeat(50)));
  assert.equal(memory.residentChars(A, traceOf("first ".repeat(100))), 0);
  assert.ok(memory.residentChars(A, traceOf("7 and more ".repeat(50))) > 0);
  memory.forget(A.nodeId);
  assert.equal(memory.residentChars(A, traceOf("7 and more ".repeat(50))), 0);
});

Deno.test("PrefixMemory gives a growing conversation one place only", () => {
  const memory = new PrefixMemory();
  memory.note(A, traceOf("other ".repeat(100)));
  for (let turn = 1; turn < 50; turn++) memory.note(A, traceOf(prompt(turn * 300)));
  assert.ok(memory.residentChars(A, traceOf("other ".repeat(100))) > 0);
});

Deno.test("PrefixMemory keeps 256 pairs of node and model", () => {
  const memory = new PrefixMemory();
  for (let count = 0; count < 300; count++) {
    memory.note({ ...A, model: String(count) }, traceOf(prompt(300)));
  }
  assert.equal(memory.residentChars({ ...A, model: "43" }, traceOf(prompt(300))), 0);
  assert.equal(memory.residentChars({ ...A, model: "44" }, traceOf(prompt(300))), 256);
});

Deno.test("PrefixMemory agrees with comparing the texts themselves", () => {
  const random = new Random(5);
  for (let round = 0; round < 200; round++) {
    const memory = new PrefixMemory();
    const texts = Array.from({ length: 4 }, () => {
      const shared = random.below(1200);
      return "a".repeat(shared) +
        String.fromCharCode(98 + random.below(3)).repeat(random.below(900));
    });
    const [asked = "", ...noted] = texts;
    for (const text of noted) memory.note(A, traceOf(text));
    const common = noted.map((text) => {
      let at = 0;
      while (at < Math.min(text.length, asked.length) && text[at] === asked[at]) at++;
      return Math.floor(at / 256) * 256;
    });
    assert.equal(memory.residentChars(A, traceOf(asked)), Math.max(...common), `round ${round}`);
  }
});
