import type { ChatMessage, Tool, ToolCall } from "../../protocol/mod.ts";
import type { CallIds } from "../families/mod.ts";
import { collate } from "./conversation.ts";

/** What a template is given. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
}

/** One change that makes a conversation plainer without taking anything from it. */
type Repair = (conversation: Conversation) => Conversation;

/**
 * Each tried on top of the ones before it, until a template takes the conversation and shows all of it. The first changes
 * the least.
 */
export const REPAIRS: readonly Repair[] = [
  (conversation) => conversation,
  systemFirst,
  plainTools,
  neighboursMerged,
  systemInUser,
  callsAsText,
  toolsFirst,
];

/** What every template can be given: ids where they are missing, in the family's form, and roles that it knows. */
export function prepare(
  conversation: Conversation,
  options: { readonly callIds: CallIds; readonly knowsDeveloper: boolean },
): Conversation {
  const { callIds, knowsDeveloper } = options;
  const renamed = new Map<string, string>();
  const waiting: string[] = [];
  let count = 0;
  const idOf = (call: ToolCall): string => {
    const id = newId(call, callIds, count++);
    if (call.id !== undefined) renamed.set(call.id, id);
    waiting.push(id);
    return id;
  };
  const messages = conversation.messages.map((message): ChatMessage => {
    if (message.role === "developer" && !knowsDeveloper) return { ...message, role: "system" };
    if (message.role === "tool") {
      const asked = message.toolCallId;
      const id = (asked === undefined ? undefined : renamed.get(asked)) ??
        (asked === undefined || callIds !== "any" ? waiting[0] ?? asked : asked);
      if (id !== undefined && waiting.includes(id)) waiting.splice(waiting.indexOf(id), 1);
      return id === undefined ? message : { ...message, toolCallId: id };
    }
    const calls = message.toolCalls ?? [];
    if (calls.length === 0) return message;
    return { ...message, toolCalls: calls.map((call) => ({ ...call, id: idOf(call) })) };
  });
  return { ...conversation, messages };
}

function newId(call: ToolCall, form: CallIds, count: number): string {
  const { id, name } = call;
  const nine = `call${String(count).padStart(5, "0")}`;
  if (form === "nine") return id !== undefined && /^[A-Za-z0-9]{9}$/.test(id) ? id : nine;
  if (form === "numbered") {
    return id !== undefined && /^functions\..+:\d+$/.test(id) ? id : `functions.${name}:${count}`;
  }
  return id === undefined || id === "" ? nine : id;
}

/** How much of a conversation a prompt doesn't show. Text that templates reformat by right is not looked for. */
export function lostParts(text: string, { messages, tools }: Conversation): number {
  // Parts stand in their order as a rule, so that a long conversation is not searched from its beginning each time.
  let from = 0;
  const shows = (part: string) => {
    const at = text.indexOf(part, from);
    if (at !== -1) from = at;
    return at !== -1 || text.includes(part);
  };
  const lostMessages = messages.filter(({ role, content, toolCalls }) => {
    const trimmed = content.trim();
    const isReformatted = trimmed.includes("think>") || role === "tool" && /^[[{]/.test(trimmed);
    const calls = toolCalls ?? [];
    return !isReformatted && !shows(trimmed) ||
      calls.some((call) => !shows(call.name) || !plainTexts(call).every(shows));
  });
  return lostMessages.length + tools.filter(({ function: { name } }) => !shows(name)).length;
}

/** Arguments that look the same in whatever way they are written. */
function plainTexts(call: ToolCall): readonly string[] {
  return Object.values(call.arguments).filter((value) =>
    typeof value === "string" && /^[\w .,-]+$/.test(value)
  ) as readonly string[];
}

/** Templates that go over `content` want it in parts. */
export function inParts(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { ...message, content: [{ type: "text", text: message["content"] }] };
}

function systemFirst({ messages, tools }: Conversation): Conversation {
  const { system } = collate(messages);
  const others = messages.filter(({ role }) => role !== "system");
  return {
    messages: system === "" ? others : [{ role: "system", content: system }, ...others],
    tools,
  };
}

/** Types as one word each, and every field that templates read. */
function plainTools({ messages, tools }: Conversation): Conversation {
  const plain = tools.map((tool): Tool => {
    const { parameters } = tool.function;
    return {
      ...tool,
      function: {
        ...tool.function,
        description: tool.function.description ?? "",
        parameters: { required: [], ...plainSchema(parameters), type: "object" },
      },
    };
  });
  return { messages, tools: plain };
}

function plainSchema(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { properties } = schema;
  const entries = Object.entries(isObject(properties) ? properties : {});
  const plain = entries.map(([name, value]) => [name, plainProperty(value)] as const);
  return { ...schema, properties: Object.fromEntries(plain) };
}

function plainProperty(value: unknown): Record<string, unknown> {
  const schema = isObject(value) ? value : {};
  const { type, anyOf, oneOf } = schema;
  const choices = [anyOf, oneOf].find(Array.isArray) ?? [];
  const chosen = choices.filter(isObject).find((choice) => choice["type"] !== "null");
  const types = Array.isArray(type) ? type.filter((word) => word !== "null") : [type];
  const word = types.find((name) => typeof name === "string") ?? chosen?.["type"] ?? "string";
  return {
    description: "",
    ...chosen,
    ...without(schema, "anyOf", "oneOf"),
    type: Array.isArray(word) ? String(word[0]) : word,
    ...(isObject(schema["properties"]) ? plainSchema(schema) : {}),
  };
}

function without(
  schema: Readonly<Record<string, unknown>>,
  ...keys: readonly string[]
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)));
}

function neighboursMerged({ messages, tools }: Conversation): Conversation {
  return { messages: collate(messages).messages, tools };
}

/** System text leads the first user's message. */
function systemInUser({ messages, tools }: Conversation): Conversation {
  const { system } = collate(messages);
  const others = messages.filter(({ role }) => role !== "system");
  if (system === "") return { messages, tools };
  const at = others.findIndex(({ role }) => role === "user");
  const user = others[at];
  if (user === undefined) {
    return { messages: [{ role: "user", content: system }, ...others], tools };
  }
  const led = { ...user, content: `${system}\n\n${user.content}` };
  return { messages: others.with(at, led), tools };
}

/** Calls and results in words, by user and assistant in turn, the user first. */
function callsAsText({ messages, tools }: Conversation): Conversation {
  const worded = messages.map((message): ChatMessage => {
    const { toolCalls = [], ...rest } = message;
    if (message.role === "tool") {
      const name = message.toolName ?? "tool";
      return { role: "user", content: `Result of ${name}:\n${message.content}` };
    }
    if (toolCalls.length === 0) return message;
    const calls = toolCalls.map(({ name, arguments: args }) =>
      JSON.stringify({ name, arguments: args })
    );
    return {
      ...rest,
      content: [message.content, ...calls].filter((text) => text !== "").join("\n"),
    };
  });
  const merged = collate(worded).messages;
  const begins = merged[0]?.role === "assistant" ? [{ role: "user", content: "" }] : [];
  return { messages: [...begins, ...merged], tools };
}

/** A list of tools as the first message, which some of the oldest templates want. */
function toolsFirst({ messages, tools }: Conversation): Conversation {
  const list = JSON.stringify(tools.map((tool) => tool.function));
  return { messages: [{ role: "functions", content: list }, ...messages], tools };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
