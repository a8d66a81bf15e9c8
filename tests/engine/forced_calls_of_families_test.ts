/**
 * Calls that must be made, by llama.cpp under the grammars of all families, whose marks are control tokens of the vocabulary.
 *
 * @module
 */
import assert from "node:assert/strict";
import { forcedCall } from "../../src/answers/forced_call.ts";
import { readingOf, writingOf } from "../../src/answers/reading.ts";
import { AnswerStream, literalsOf } from "../../src/core/generation/mod.ts";
import { FAMILIES } from "../../src/models/families/table.ts";
import type { Family } from "../../src/models/families/mod.ts";
import { compileTemplate } from "../../src/models/template/mod.ts";
import { GREEDY, loadTiny } from "../integration/engine_harness.ts";
import { spokenModel, TOOLS } from "../harness/spoken_model.ts";

const PROMPT_END = "[asked]";
const ARGUMENTS = { city: "Paris", days: 2 };

/** The family's own text of a call, from where the answer begins. */
function callText({ calls }: Family, begun: string): string {
  const { before, call, after } = calls;
  const name = { bare: "get_weather", json: '"get_weather"', id: "functions.get_weather:0" };
  const id = call.idAfter === undefined ? "" : `${call.idAfter}"aB3dE6gH9"`;
  const { arguments: written } = call;
  const args = written === "json" ? JSON.stringify(ARGUMENTS) : Object.entries(ARGUMENTS)
    .map(([key, value]) => {
      const isText = typeof value === "string" && written.mark !== "json";
      const text = isText ? written.mark + value + written.mark : JSON.stringify(value);
      return written.before + key + written.between + text + written.after;
    }).join(written.separator);
  const again = call.again === undefined ? "" : call.again + name[call.name];
  const text = before + call.before + name[call.name] + again + call.between + args + id +
    call.after + after;
  return text.startsWith(begun) ? text.slice(begun.length) : text;
}

/** The text in parts; a mark that stands in it once is one. */
function split(text: string, marks: readonly string[]): readonly string[] {
  const once = marks.filter((mark) => text.split(mark).length === 2);
  const pattern = once.map((mark) => mark.replaceAll(/[^\w]/g, "\\$&"))
    .sort((a, b) => b.length - a.length).join("|");
  const parts = once.length === 0 ? [text] : text.split(new RegExp(`(${pattern})`));
  // No token may stand in an answer twice.
  return parts.reduce<string[]>((unique, part) => {
    const last = unique.at(-1);
    if (part === "") return unique;
    if (last === undefined || !unique.includes(part)) return [...unique, part];
    return [...unique.slice(0, -1), last + part];
  }, []);
}

const written = new Map(FAMILIES.map((family) => [JSON.stringify(family.calls), family]));

for (const family of written.values()) {
  Deno.test(`${family.id}: llama.cpp writes a call that must be made, control tokens and all`, async () => {
    const traits = compileTemplate({ renderer: family.id });
    const [open = ""] = family.answer.segments?.opens ?? [];
    const prompt = { text: PROMPT_END + open, startsInsideThinking: false };
    const parts = { template: { traits }, resolved: { stop: [] }, prompt, think: false } as const;
    const forced = forcedCall(TOOLS, "required", writingOf(parts));
    assert.ok(forced?.isOwn);
    const { stream: options, shownTags } = readingOf({ ...parts, forced, tools: TOOLS }, false);
    const answer = split(callText(family, open), literalsOf(family.answer));
    const control = literalsOf(family.answer).filter((mark) => answer.includes(mark));
    const path = await Deno.makeTempFile({ suffix: ".gguf" });
    try {
      await Deno.writeFile(path, spokenModel({ template: "", after: PROMPT_END, answer, control }));
      await using model = await loadTiny({ modelPath: path });
      const stream = new AnswerStream(options);
      const pieces = [];
      for await (
        const event of model.generate({
          prompt: { kind: "text", text: PROMPT_END, addSpecial: true },
          emittedTokens: [],
          sampler: GREEDY,
          predictTokensMax: 64,
          keepTokens: 4,
          onLongPrompt: "truncate",
          onFullContext: "shift",
          grammar: forced.grammar,
          topLogprobs: -1,
          shownTags,
        }, new AbortController().signal)
      ) {
        if (event.kind === "finished") {
          assert.equal(event.reason, "end");
          pieces.push(...stream.finish(event.reason));
        } else pieces.push(...stream.step(event));
      }
      const [call] = pieces;
      assert.ok(pieces.length === 1 && call?.kind === "tool_call", JSON.stringify(pieces));
      assert.deepEqual([call.call.name, call.call.arguments], ["get_weather", ARGUMENTS]);
    } finally {
      await Deno.remove(path);
    }
  });
}
