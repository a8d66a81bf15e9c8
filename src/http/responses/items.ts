import { invalidRequest, type RequestError } from "../../base/mod.ts";
import type { ChatMessage, ToolCall } from "../../protocol/mod.ts";
import { drawId } from "../draw_id.ts";
import { parseArguments } from "../openai/mod.ts";
import { Fields, isObject, joinParts, JsonScan, parseImageUrl } from "../wire/mod.ts";

/** One part of a conversation as this API has it, on its way in, out and into what is kept. */
export type Item = Readonly<Record<string, unknown>>;

/** Items of one request at most. */
const ITEMS_MAX = 16_384;
/** Parts of one message or output at most. */
const PARTS_MAX = 4_096;
const PART_GAP = "\n\n";
const ITEM_ID_LENGTH = 24;
/** Of them, how many are the place of an item in its response. */
const PLACE_LENGTH = 3;
const ID_PREFIXES: Readonly<Record<string, string>> = {
  message: "msg",
  reasoning: "rs",
  function_call: "fc",
  function_call_output: "fco",
};
const ROLES: Readonly<Record<string, string>> = {
  user: "user",
  assistant: "assistant",
  system: "system",
  developer: "system",
};

/** A fresh id for an item of this type. */
function drawItemId(type: string): string {
  return `${ID_PREFIXES[type] ?? "item"}_${drawId(ITEM_ID_LENGTH)}`;
}

/** The id of an item of a response: the same whoever tells of it, and whenever. */
export function itemIdAt(
  type: string,
  at: { readonly responseId: string; readonly index: number },
) {
  const place = at.index.toString(36).padStart(PLACE_LENGTH, "0");
  const drawn = at.responseId.split("_")[1]?.slice(0, ITEM_ID_LENGTH - PLACE_LENGTH) ?? "";
  return `${ID_PREFIXES[type] ?? "item"}_${drawn}${place}`;
}

/** `input` as items, each with an id. @throws RequestError `invalid_request`. */
export function parseInput(fields: Fields): readonly Item[] {
  const input = fields.raw("input");
  if (input === undefined) return [];
  const items = typeof input === "string"
    ? [{ role: "user", content: [{ type: "input_text", text: input }] }]
    : fields.list("input") ?? [];
  if (items.length > ITEMS_MAX) {
    throw invalid(`input: at most ${ITEMS_MAX} items are accepted, got ${items.length}`);
  }
  return items.map((item, index) => {
    if (!isObject(item)) throw invalid(`input[${index}]: wants an object`);
    const type = item["type"] ?? "message";
    return { ...item, type, id: item["id"] ?? drawItemId(String(type)) };
  });
}

/** The conversation that items make. @throws RequestError `invalid_request` for an item that can't be followed. */
export function messagesOf(items: readonly Item[]): readonly ChatMessage[] {
  const conversation = new Conversation();
  items.forEach((item, index) => conversation.add(new Fields(item), `input[${index}]`));
  return conversation.messages();
}

/** What an assistant says is spread over items, and templates have one message for it. */
interface Turn {
  thinking: string;
  content: string;
  readonly toolCalls: ToolCall[];
}

class Conversation {
  readonly #messages: ChatMessage[] = [];
  readonly #toolNames = new Map<string, string>();
  readonly #scan = new JsonScan();
  #turn: Turn | undefined;

  add(item: Fields, path: string): void {
    const type = item.string("type") ?? "message";
    switch (type) {
      case "message":
        return this.#addMessage(item, path);
      case "reasoning":
        this.#open().thinking += reasoningText(item);
        return;
      case "function_call":
        this.#open().toolCalls.push(this.#call(item));
        return;
      case "function_call_output": {
        const toolCallId = item.string("call_id") ?? "";
        const toolName = this.#toolNames.get(toolCallId);
        const named = toolName === undefined ? {} : { toolName };
        return this.#push({ role: "tool", ...saidIn(item, "output", path), ...named, toolCallId });
      }
      default:
        throw invalid(`${path}: items of type "${type}" are not supported`);
    }
  }

  messages(): readonly ChatMessage[] {
    this.#close();
    return this.#messages;
  }

  #addMessage(item: Fields, path: string): void {
    const sent = item.string("role") ?? "";
    const role = Object.hasOwn(ROLES, sent) ? ROLES[sent] : undefined;
    if (role === undefined) {
      throw invalid(`${path}.role: wants user, assistant, system or developer, got "${sent}"`);
    }
    const said = saidIn(item, "content", path);
    if (role !== "assistant") return this.#push({ role, ...said });
    const { content } = said;
    // Calls come after what was said, so a text behind them is another turn.
    if ((this.#turn?.toolCalls.length ?? 0) > 0) this.#close();
    const turn = this.#open();
    turn.content += turn.content === "" ? content : PART_GAP + content;
  }

  #call(item: Fields): ToolCall {
    const id = item.string("call_id") ?? "";
    const name = item.string("name") ?? "";
    this.#toolNames.set(id, name);
    return { id, name, arguments: parseArguments(item.string("arguments") ?? "", this.#scan) };
  }

  #push(message: ChatMessage): void {
    this.#close();
    this.#messages.push(message);
  }

  #open(): Turn {
    this.#turn ??= { thinking: "", content: "", toolCalls: [] };
    return this.#turn;
  }

  #close(): void {
    if (this.#turn === undefined) return;
    const { thinking, content, toolCalls } = this.#turn;
    this.#turn = undefined;
    this.#messages.push({
      role: "assistant",
      content,
      ...(thinking === "" ? {} : { thinking }),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
    });
  }
}

function reasoningText(item: Fields): string {
  const texts = (name: string) =>
    (item.fieldsList(name, PARTS_MAX) ?? []).map((part) => part.string("text") ?? "");
  const content = texts("content");
  return (content.length > 0 ? content : texts("summary")).join(PART_GAP);
}

/** Text, or parts that are texts and images. */
function saidIn(
  item: Fields,
  name: string,
  path: string,
): Pick<ChatMessage, "content" | "images"> {
  const value = item.raw(name);
  if (value === undefined) return { content: "" };
  if (typeof value === "string") return { content: value };
  const parts = item.fieldsList(name, PARTS_MAX) ?? [];
  return joinParts(parts.map((part) => partOf(part, path)), PART_GAP);
}

function partOf(part: Fields, path: string): string | Uint8Array {
  const type = part.string("type");
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
      return part.string("text") ?? "";
    case "refusal":
      return part.string("refusal") ?? "";
    case "input_image":
      if (part.raw("image_url") !== undefined) return parseImageUrl(part.raw("image_url"));
      throw invalid(`${path}: images are read from image_url`);
    default:
      throw invalid(`${path}: content of type ${JSON.stringify(type)} is not supported`);
  }
}

function invalid(message: string): RequestError {
  return invalidRequest(message);
}
