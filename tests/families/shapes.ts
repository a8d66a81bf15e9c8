/**
 * Conversations as clients send them, each of another shape: what a chat template must take.
 *
 * @module
 */
import type { PromptInput } from "../../src/models/mod.ts";
import type { ChatMessage, Tool } from "../../src/protocol/mod.ts";

/** A conversation, and what of it a prompt must show. */
export interface Shape {
  readonly name: string;
  readonly input: Omit<PromptInput, "date">;
  readonly shows: readonly string[];
}

const user = (content: string): ChatMessage => ({ role: "user", content });
const assistant = (content: string): ChatMessage => ({ role: "assistant", content });
const system = (content: string): ChatMessage => ({ role: "system", content });

function tool(parameters: Readonly<Record<string, unknown>>, description?: string): Tool {
  const described = description === undefined ? {} : { description };
  return { type: "function", function: { name: "get_weather", ...described, parameters } };
}

/** A tool with one argument. */
export const WEATHER: Tool = tool({
  type: "object",
  required: ["city"],
  properties: { city: { type: "string", description: "Where." } },
}, "Tells the weather.");
const LOOSE = tool({
  type: "object",
  properties: {
    city: { type: ["string", "null"], description: "Where." },
    days: { anyOf: [{ type: "integer" }, { type: "null" }], default: null },
    tags: { type: "array", items: { type: "string" } },
    kind: { enum: ["now", "later"] },
  },
}, "Tells the weather.");

function called(
  ids: { readonly call?: string; readonly result?: string } = {},
  args: Record<string, unknown> = { city: "Paris" },
): readonly ChatMessage[] {
  const id = ids.call === undefined ? {} : { id: ids.call };
  const result: ChatMessage = {
    role: "tool",
    content: "It is 21 degrees.",
    toolName: "get_weather",
  };
  return [
    user("Weather in Paris?"),
    {
      role: "assistant",
      content: "",
      toolCalls: [{ ...id, name: "get_weather", arguments: args }],
    },
    ids.result === undefined ? result : { ...result, toolCallId: ids.result },
    user("And now?"),
  ];
}

const SEEN = ["Weather in Paris?", "get_weather", "It is 21 degrees.", "And now?"];

/** Every shape. Those with tools need a template that can show calls. */
export const SHAPES: readonly Shape[] = [
  { name: "one question", input: { messages: [user("Hello?")] }, shows: ["Hello?"] },
  {
    name: "system text",
    input: { messages: [system("Be brief."), user("Hello?")] },
    shows: ["Be brief.", "Hello?"],
  },
  {
    name: "several turns",
    input: { messages: [user("One?"), assistant("First."), user("Two?")] },
    shows: ["One?", "First.", "Two?"],
  },
  {
    name: "developer",
    input: { messages: [{ role: "developer", content: "Be brief." }, user("Hello?")] },
    shows: ["Be brief.", "Hello?"],
  },
  {
    name: "late system",
    input: { messages: [user("One?"), assistant("First."), system("Be brief."), user("Two?")] },
    shows: ["One?", "First.", "Be brief.", "Two?"],
  },
  {
    name: "two users in a row",
    input: { messages: [user("Part one."), user("Part two.")] },
    shows: ["Part one.", "Part two."],
  },
  {
    name: "answer first",
    input: { messages: [assistant("Welcome."), user("Hello?")] },
    shows: ["Welcome.", "Hello?"],
  },
  {
    name: "begun answer",
    input: { messages: [user("Hello?"), assistant("Well, ")] },
    shows: ["Hello?", "Well,"],
  },
  {
    name: "earlier thinking",
    input: {
      messages: [user("One?"), { ...assistant("First."), thinking: "Hm." }, user("Two?")],
      think: true,
    },
    shows: ["One?", "First.", "Two?"],
  },
  {
    name: "tools",
    input: { messages: [user("Weather?")], tools: [WEATHER] },
    shows: ["Weather?", "get_weather"],
  },
  {
    name: "tool with nullable arguments",
    input: { messages: [user("Weather?")], tools: [LOOSE] },
    shows: ["Weather?", "get_weather"],
  },
  {
    name: "tool without arguments or words",
    input: { messages: [user("Weather?")], tools: [tool({})] },
    shows: ["Weather?", "get_weather"],
  },
  {
    name: "call and result, other ids",
    input: { messages: called({ call: "call_abc", result: "call_abc" }), tools: [WEATHER] },
    shows: SEEN,
  },
  { name: "call and result, no ids", input: { messages: called(), tools: [WEATHER] }, shows: SEEN },
  {
    name: "null argument",
    input: { messages: called({}, { city: null }), tools: [WEATHER] },
    shows: SEEN,
  },
  {
    name: "two calls at once, system text",
    input: {
      messages: [
        system("Be brief."),
        user("Both?"),
        {
          ...assistant("Let me look."),
          toolCalls: [{ name: "get_weather", arguments: { city: "Oslo" } }, {
            name: "get_weather",
            arguments: { city: "Rome" },
          }],
        },
        { role: "tool", content: "cold outside", toolName: "get_weather" },
        { role: "tool", content: "warm outside", toolName: "get_weather" },
      ],
      tools: [WEATHER],
    },
    shows: ["Be brief.", "Both?", "Oslo", "Rome", "cold outside", "warm outside"],
  },
];
