import assert from "node:assert/strict";
import type { TemplateTraits } from "../models/mod.ts";
import { readingOf, type ReadingParts } from "./reading.ts";

const TOOL = { type: "function", function: { name: "f", parameters: {} } };

function reading(traits: Partial<TemplateTraits>, changes: Partial<ReadingParts> = {}) {
  return readingOf({
    template: {
      traits: {
        kind: "jinja",
        capabilities: { tools: true, thinking: true, insert: false },
        toolCallTag: "",
        ...traits,
      },
    },
    resolved: { stop: ["END"] },
    prompt: { text: "prompt", startsInsideThinking: false },
    think: undefined,
    tools: [],
    ...changes,
  }, false);
}

Deno.test("readingOf() looks for calls only where there are tools, and hides their tags elsewhere", () => {
  const without = reading({ family: "mistral" });
  assert.deepEqual([without.stream.tools, without.shownTags], [undefined, []]);
  const shown = reading({ family: "mistral" }, { tools: [TOOL] }).shownTags;
  assert.ok(shown.includes("[TOOL_CALLS]") && shown.includes("[ARGS]"));
  assert.ok(!shown.includes("[THINK]"), "nobody asked for thinking");
});

Deno.test("readingOf() shows the tags of thinking where it is asked for", () => {
  const thinkingTags = { open: "[THINK]", close: "[/THINK]" };
  const { stream, shownTags } = reading({ family: "mistral", thinkingTags }, { think: true });
  assert.deepEqual(stream.thinking, { tags: thinkingTags, startsInside: false });
  assert.deepEqual(shownTags, ["[THINK]", "[/THINK]"]);
});

Deno.test("readingOf() keeps thinking out of the content of a model that was told not to think", () => {
  const thinkingTags = { open: "<think>", close: "</think>" };
  const { stream } = reading({ family: "deepseek-r1", thinkingTags }, {
    think: false,
    prompt: { text: "…<think>\n", startsInsideThinking: true },
  });
  assert.deepEqual(stream.thinking, { tags: thinkingTags, startsInside: true });
});

Deno.test("readingOf() takes out a family's markup whether there are tools or not", () => {
  const { stream, shownTags } = reading({ family: "cohere" });
  assert.deepEqual(stream.tools?.noise, ["<|START_RESPONSE|>", "<|END_RESPONSE|>"]);
  assert.deepEqual(stream.tools?.calls, []);
  assert.deepEqual(shownTags, ["<|START_RESPONSE|>", "<|END_RESPONSE|>"]);
});

Deno.test("readingOf() expects a header where the prompt leaves off in one", () => {
  const startsInHeader = (text: string) =>
    reading({ family: "harmony" }, { prompt: { text, startsInsideThinking: false } })
      .stream.segments?.startsInHeader;
  assert.equal(startsInHeader("…<|start|>assistant"), true);
  assert.equal(startsInHeader("…<|start|>assistant<|channel|>final<|message|>Well"), false);
});

Deno.test("readingOf() reads a call that must come as JSON where the family's own way can't hold it", () => {
  const { stream } = reading({ family: "qwen3-coder" }, {
    tools: [TOOL],
    forced: { isOwn: false },
  });
  assert.deepEqual(stream.tools?.calls, [{ open: "", close: "", syntaxes: ["json"] }]);
});

Deno.test("readingOf() goes by what a template of no family shows of itself", () => {
  const { stream } = reading({ toolCallTag: "<call>" }, { tools: [TOOL] });
  assert.deepEqual(stream.tools?.calls, [{ open: "<call>", close: "", syntaxes: ["json"] }]);
});

Deno.test("readingOf() ends turns that have no token of their own at their text", () => {
  assert.deepEqual(reading({ kind: "none", family: "chatml" }).stream.stops, [
    "END",
    "<|im_start|>",
    "<|im_end|>",
  ]);
  assert.deepEqual(reading({ family: "chatml" }).stream.stops, ["END"]);
});
