import { computed, signal } from "@preact/signals";
import type { Answered, Asked, Conversation } from "./shapes.ts";

const ITEM = "odist-conversations";
/** Conversations kept; the one not touched for longest goes. */
const CONVERSATIONS_MAX = 50;
/** How often what streams is written down. */
const SAVE_MS = 400;
const ID_BYTES = 16;

/** All conversations of this browser, the newest first. */
export const conversations = signal<readonly Conversation[]>(read());

/** Which one is shown. */
export const shownId = signal<string | undefined>(conversations.value[0]?.id);

export const shown = computed(() => conversations.value.find(({ id }) => id === shownId.value));

function read(): readonly Conversation[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(ITEM) ?? "[]");
    // Written by this page alone; an older one that wrote otherwise is forgotten.
    return Array.isArray(kept) ? kept.filter((one) => Array.isArray(one?.messages)) : [];
  } catch {
    return [];
  }
}

let timer = 0;

/** Writes them down soon, and once for many changes. */
function saveSoon(): void {
  timer ||= setTimeout(save, SAVE_MS);
}

/** Also when the page goes away. */
export function save(): void {
  clearTimeout(timer);
  timer = 0;
  for (let count = CONVERSATIONS_MAX; count > 0; count = Math.floor(count / 2)) {
    try {
      localStorage.setItem(ITEM, JSON.stringify(conversations.value.slice(0, count)));
      return;
    } catch {
      // The browser has no room: older ones go.
    }
  }
}

/** An id that others don't guess; `crypto.randomUUID` is for HTTPS and this machine alone. */
export function drawId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Begins one and shows it. */
export function begin(model: string): Conversation {
  const conversation = {
    id: drawId(),
    model,
    system: shown.value?.system ?? "",
    messages: [],
    changedAtMs: Date.now(),
  };
  conversations.value = [conversation, ...conversations.value].slice(0, CONVERSATIONS_MAX);
  shownId.value = conversation.id;
  saveSoon();
  return conversation;
}

/** Changes one in place. */
export function update(id: string, now: Partial<Omit<Conversation, "id">>): void {
  conversations.value = conversations.value.map((one) =>
    one.id === id ? { ...one, changedAtMs: Date.now(), ...now } : one
  );
  saveSoon();
}

/** Changes the answer with this request's id, wherever it is. */
export function updateAnswer(requestId: string, now: Partial<Answered>): void {
  const change = (message: Asked | Answered) =>
    message.role === "assistant" && message.requestId === requestId
      ? { ...message, ...now }
      : message;
  conversations.value = conversations.value.map((one) => {
    const messages = one.messages.map(change);
    const isChanged = messages.some((message, index) => message !== one.messages[index]);
    return isChanged ? { ...one, messages } : one;
  });
  saveSoon();
}

/** The answer with this request's id; undefined once it is gone. */
export function findAnswer(requestId: string): Answered | undefined {
  for (const { messages } of conversations.value) {
    for (const message of messages) {
      if (message.role === "assistant" && message.requestId === requestId) return message;
    }
  }
  return undefined;
}

/** Forgets one. */
export function forget(id: string): void {
  conversations.value = conversations.value.filter((one) => one.id !== id);
  if (shownId.value === id) shownId.value = conversations.value[0]?.id;
  saveSoon();
}

/** Whether an answer comes in. */
export function isAnswering(): boolean {
  return conversations.peek().some(({ messages }) =>
    messages.some((message) => message.role === "assistant" && message.state === "running")
  );
}
