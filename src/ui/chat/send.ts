import { ApiError, ask, change, findNode, jsonLines, UnreachableError } from "../state/mod.ts";
import { conversations, drawId, findAnswer, save, update, updateAnswer } from "./conversations.ts";
import { type Answered, type AnswerFigures, begun, type Conversation } from "./shapes.ts";

/** How often a lost answer is looked for on a living node. */
const ATTEMPTS_MAX = 8;
const PAUSE_MS = 500;
/** What a node says of an answer that it has nothing of. */
const GONE = 404;
/** How long a node goes on with an answer whose page is gone: it may be loaded again. */
const KEEP = "60s";
const NS_PER_MS = 1_000_000;
const NS_PER_SECOND = 1_000_000_000;

/** A line of `/api/chat`. */
interface Line {
  readonly message?: {
    readonly content?: string;
    readonly thinking?: string;
    readonly tool_calls?: readonly unknown[];
  };
  readonly done?: boolean;
  readonly error?: string;
  readonly prompt_eval_count?: number;
  readonly eval_count?: number;
  readonly eval_duration?: number;
  readonly total_duration?: number;
}

/** What is being answered, by the request's id. */
const running = new Map<string, AbortController>();

/** Has the conversation's last question answered; resolves when it is, or is not. */
export async function answer(conversation: Conversation): Promise<void> {
  const requestId = drawId();
  const { messages } = conversation;
  update(conversation.id, { messages: [...messages, begun(requestId)] });
  await follow(requestId, (signal) => begin(conversation, requestId, signal));
}

/** Takes up the answers that were running when the page was left. */
export function takeUp(): void {
  for (const { messages } of conversations.value) {
    for (const message of messages) {
      if (message.role !== "assistant" || message.state !== "running") continue;
      void follow(message.requestId, (signal) => resume(message, signal));
    }
  }
}

/** Ends it. */
export function stop(requestId: string): void {
  running.get(requestId)?.abort();
  // It is kept for a page that comes back, so that leaving alone does not end it.
  void change("POST", "/api/cancel", { request_id: requestId }).catch(() => {});
}

async function follow(
  requestId: string,
  open: (signal: AbortSignal) => Promise<Response>,
): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  running.set(requestId, controller);
  try {
    await readAll(requestId, open, signal);
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    updateAnswer(requestId, signal.aborted ? { state: "stopped" } : { state: "failed", failure });
  } finally {
    running.delete(requestId);
    save();
  }
}

/** Reads on, from another node where the asked one is gone, until the answer is whole. */
async function readAll(
  requestId: string,
  open: (signal: AbortSignal) => Promise<Response>,
  signal: AbortSignal,
): Promise<void> {
  let next = open;
  for (let attempt = 1;; attempt++) {
    try {
      return await readOnce(requestId, await next(signal), signal);
    } catch (error) {
      const isLost = error instanceof UnreachableError;
      if (!isLost || attempt === ATTEMPTS_MAX) throw error;
      if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      signal.throwIfAborted();
      await findNode();
      next = async () => {
        const answer = findAnswer(requestId);
        if (answer === undefined) throw new Error("The conversation is gone");
        return await resume(answer, signal);
      };
    }
  }
}

function begin(
  { model, system, messages }: Conversation,
  requestId: string,
  signal: AbortSignal,
): Promise<Response> {
  const said = messages.map((message) =>
    message.role === "user"
      ? {
        role: message.role,
        content: message.content,
        ...(message.images.length === 0 ? {} : { images: message.images }),
      }
      : { role: message.role, content: message.content }
  );
  const headers = { "x-request-id": requestId, "x-odist-keep": KEEP };
  const body = {
    model,
    messages: system === "" ? said : [{ role: "system", content: system }, ...said],
  };
  return ask("/api/chat", { method: "POST", body, signal, headers });
}

/**
 * The rest of an answer, by its id, on whichever node is asked now. Where no node has anything of it any more, the question is
 * asked again, and the page says so.
 */
async function resume(answer: Answered, signal: AbortSignal): Promise<Response> {
  const { requestId, readBytes, resumed } = answer;
  try {
    const response = await ask(`/api/answers/${requestId}?offset=${readBytes}`, { signal });
    updateAnswer(requestId, { resumed: resumed + 1 });
    return response;
  } catch (error) {
    const question = questionOf(requestId);
    if (!(error instanceof ApiError) || error.status !== GONE || question === undefined) {
      throw error;
    }
    updateAnswer(requestId, { ...begun(requestId), isRepeated: true });
    return await begin(question, requestId, signal);
  }
}

/** The conversation up to what this is the answer to. */
function questionOf(requestId: string): Conversation | undefined {
  for (const conversation of conversations.value) {
    const end = conversation.messages.findIndex((message) =>
      message.role === "assistant" && message.requestId === requestId
    );
    if (end >= 0) return { ...conversation, messages: conversation.messages.slice(0, end) };
  }
  return undefined;
}

/** @throws UnreachableError where it breaks off before its last line. */
async function readOnce(requestId: string, response: Response, signal: AbortSignal): Promise<void> {
  const node = response.headers.get("x-odist-node");
  if (node !== null && findAnswer(requestId)?.node === "") updateAnswer(requestId, { node });
  let readBytes = findAnswer(requestId)?.readBytes ?? 0;
  const lines = jsonLines<Line>(response, signal, (bytes) => readBytes += bytes);
  for await (const line of lines) {
    if (line.error !== undefined) throw new Error(line.error);
    const before = findAnswer(requestId);
    if (before === undefined) return stop(requestId);
    updateAnswer(requestId, { ...grown(before, line), readBytes });
    if (line.done === true) return;
  }
  throw new UnreachableError("the answer ended before its last line");
}

function grown(before: Answered, { message = {}, ...line }: Line): Partial<Answered> {
  const { content = "", thinking = "", tool_calls: calls = [] } = message;
  return {
    content: before.content + content,
    thinking: before.thinking + thinking,
    toolCalls: [...before.toolCalls, ...calls.map((call) => JSON.stringify(call, null, 2))],
    ...(line.done === true ? { state: "done", figures: figuresOf(line) } : {}),
  };
}

function figuresOf(line: Line): AnswerFigures {
  const { eval_count: tokens = 0, eval_duration: ns = 0, total_duration: total = 0 } = line;
  return {
    promptTokens: line.prompt_eval_count ?? 0,
    tokens,
    tokensPerSecond: ns === 0 ? 0 : tokens * NS_PER_SECOND / ns,
    totalMs: total / NS_PER_MS,
  };
}
