import type { ChatMessage } from "../../protocol/mod.ts";
import type { PromptInput } from "./prompt_renderer.ts";

/** All messages of the input with their image markers in the text. */
export function conversationOf(
  input: PromptInput,
): { readonly messages: readonly ChatMessage[]; readonly imageCount: number } {
  const all: ChatMessage[] = [...input.messages];
  if (input.system !== undefined && input.system !== "") {
    all.unshift({ role: "system", content: input.system });
  }
  if (input.prompt !== undefined && input.prompt !== "") {
    all.push({ role: "user", content: input.prompt });
  }
  let imageCount = 0;
  const messages = all.map((message) => {
    const images = message.images ?? [];
    if (images.length === 0) return message;
    const content = images.reduce<{ before: string; text: string }>((marked) => {
      const marker = `[img-${imageCount++}]`;
      return marked.text.includes("[img]")
        // A function, because "$" in a replacement text would be special.
        ? { before: marked.before, text: marked.text.replace("[img]", () => marker) }
        : { before: marked.before + marker, text: marked.text };
    }, { before: "", text: message.content });
    return { ...message, content: content.before + content.text };
  });
  return { messages, imageCount };
}

/**
 * Neighbours of one role as one message, joined by a blank line; tool messages stay apart, because each answers a call of
 * its own. `system` joins all system texts, wherever they stand.
 */
export function collate(
  messages: readonly ChatMessage[],
): { readonly system: string; readonly messages: readonly ChatMessage[] } {
  const collated: ChatMessage[] = [];
  for (const message of messages) {
    const last = collated.at(-1);
    if (last !== undefined && last.role === message.role && message.role !== "tool") {
      collated[collated.length - 1] = merge(last, message);
    } else {
      collated.push(message);
    }
  }
  const systems = messages.filter((message) => message.role === "system");
  return { system: systems.map((message) => message.content).join("\n\n"), messages: collated };
}

function merge(first: ChatMessage, second: ChatMessage): ChatMessage {
  const images = [...first.images ?? [], ...second.images ?? []];
  const toolCalls = [...first.toolCalls ?? [], ...second.toolCalls ?? []];
  return {
    ...second,
    ...first,
    content: `${first.content}\n\n${second.content}`,
    ...(images.length > 0 ? { images } : {}),
    ...(toolCalls.length > 0 ? { toolCalls } : {}),
  };
}
