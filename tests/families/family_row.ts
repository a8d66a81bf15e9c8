import { compileTemplate } from "../../src/models/template/mod.ts";
import type { Family } from "../../src/models/families/mod.ts";
import type { PromptInput } from "../../src/models/mod.ts";
import { WEATHER } from "./shapes.ts";

const DATE = new Date(2026, 2, 1);
const CALLED: PromptInput["messages"] = [
  { role: "user", content: "Weather?" },
  {
    role: "assistant",
    content: "",
    thinking: "Hm, a tool.",
    toolCalls: [{ id: "call_long-id", name: "get_weather", arguments: { city: "Paris" } }],
  },
  { role: "tool", content: "21 degrees", toolName: "get_weather", toolCallId: "call_long-id" },
];

/** What a family's own template does with the usual conversations: "ok", "-" where it has no such thing, or "FAILS". */
export function familyRow(
  family: Family,
): { readonly id: string; readonly cells: Readonly<Record<string, string>> } {
  const renderer = compileTemplate({ renderer: family.id });
  const text = (input: Omit<PromptInput, "date">) => renderer.render({ ...input, date: DATE }).text;
  const shows = (input: Omit<PromptInput, "date">, ...parts: readonly string[]) => {
    const prompt = text(input);
    return parts.every((part) => prompt.includes(part)) ? "ok" : "FAILS";
  };
  const system = { role: "system", content: "Be brief." };
  const user = { role: "user", content: "Hello?" };
  const tools = [WEATHER];
  const round = text({ messages: CALLED, tools });
  return {
    id: family.id,
    cells: {
      plain: shows({ messages: [user] }, "Hello?"),
      system: shows({ messages: [system, user] }, "Be brief.", "Hello?"),
      tools: shows({ messages: CALLED, tools }, "get_weather", "Paris", "21 degrees"),
      thinking: renderer.capabilities.thinking
        ? shows({ messages: CALLED, tools, think: true }, "Hm, a tool.")
        : "-",
      "strict ids": family.callIds === "any" ? "-" : strict(round, family),
    },
  };
}

/** An id of another form must not reach the prompt. */
function strict(prompt: string, { callIds }: Family): string {
  const isGiven = callIds === "nine" || prompt.includes("functions.get_weather:0");
  return isGiven && !prompt.includes("call_long-id") ? "ok" : "FAILS";
}
