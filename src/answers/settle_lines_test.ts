import assert from "node:assert/strict";
import { readLineRules } from "../models/modelfile/mod.ts";
import type { ChatMessage } from "../protocol/mod.ts";
import { settledBy } from "./settle_lines.ts";

function said(role: string, content: string): ChatMessage {
  return { role, content };
}

function settle(rules: readonly string[], messages: readonly ChatMessage[]) {
  const settled = settledBy(readLineRules(rules), messages);
  return {
    ...settled,
    messages: settled.messages.map(({ role, content }) => `${role}: ${content}`),
  };
}

Deno.test("settledBy() leaves a conversation as it is without rules, and says nothing of lines", () => {
  const messages = [said("system", "cch=1\nBe kind."), said("user", "hi")];
  const settled = settledBy([], messages);
  assert.equal(settled.messages, messages);
  assert.equal(settled.lineChanges, undefined);
});

Deno.test("settledBy() drops lines, has others at the end of the system text, and others in the last message", () => {
  const system = "x-request-id: 7\nBe kind.\n  Today's date: Monday\nBe brief.\nTime: noon";
  const messages = [said("system", system), said("user", "hi")];
  const rules = ["drop:x-request-id:", "end:Today's date:", "last:Time:"];
  assert.deepEqual(settle(rules, messages), {
    messages: ["system: Be kind.\nBe brief.\n\nToday's date: Monday", "user: hi\n\nTime: noon"],
    lineChanges: { dropped: 1, moved: 2 },
  });
});

Deno.test("settledBy() has the last message be a tool's result as well as a user's, never an answer that is begun", () => {
  const talk = [said("user", "hi"), said("assistant", ""), said("tool", "42")];
  const system = said("system", "Time: noon\nBe kind.");
  const after = (rest: readonly ChatMessage[]) =>
    settle(["last:Time:"], [system, ...rest]).messages.slice(1);
  assert.deepEqual(after(talk), ["user: hi", "assistant: ", "tool: 42\n\nTime: noon"]);
  const begun = [said("user", "hi"), said("assistant", "Well")];
  assert.deepEqual(after(begun), ["user: hi\n\nTime: noon", "assistant: Well"]);
});

Deno.test("settledBy() has lines for the last message end the system text where nobody has asked", () => {
  const { messages, lineChanges } = settle(
    ["last:Time:"],
    [said("system", "Time: noon\nBe kind.")],
  );
  assert.deepEqual(messages, ["system: Be kind.\n\nTime: noon"]);
  assert.deepEqual(lineChanges, { dropped: 0, moved: 1 });
});

Deno.test("settledBy() looks at all system messages before the first other one, and leaves out one without a line left", () => {
  const messages = [
    said("system", "cch=1;\n"),
    said("developer", "Be kind.\ncch=2;"),
    said("user", "cch=3;"),
    said("system", "cch=4;"),
  ];
  assert.deepEqual(settle(["drop:cch="], messages), {
    messages: ["developer: Be kind.", "user: cch=3;", "system: cch=4;"],
    lineChanges: { dropped: 2, moved: 0 },
  });
});

Deno.test("settledBy() compares the beginning of a line alone, as it is written", () => {
  const system = "The Time: is told.\ntime: noon\n[T]ime: noon";
  const { messages, lineChanges } = settle(["drop:Time:", "drop:.*ime"], [said("system", system)]);
  assert.deepEqual(messages, [`system: ${system}`]);
  assert.deepEqual(lineChanges, { dropped: 0, moved: 0 });
});

Deno.test("settledBy() looks at the beginning of a system text that is too long, and loses nothing of the rest", () => {
  const filler = `${"x".repeat(99)}\n`.repeat(6_000);
  const messages = [
    said("system", `Time: noon\n${filler}Time: late`),
    said("system", "Time: later"),
    said("user", "hi"),
  ];
  assert.deepEqual(settle(["drop:Time:"], messages), {
    messages: [`system: ${filler}Time: late`, "system: Time: later", "user: hi"],
    lineChanges: { dropped: 1, moved: 0 },
  });
});
