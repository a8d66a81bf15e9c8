/** Official clients of interfaces with event streams, while those tell where a request stands. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { WaitingChats } from "../harness/waiting_chats.ts";

const MESSAGES = [{ role: "user", content: "hi" }] as const;

/** Has time pass until a request stands in the queue and was told so, twice, and lets it go. */
async function passOn(chats: WaitingChats): Promise<void> {
  await chats.begun;
  await chats.clock.advance(1_000);
  await chats.clock.advance(2_000);
  chats.letGo();
}

function options(chats: WaitingChats) {
  return {
    apiKey: "none",
    maxRetries: 0,
    defaultHeaders: { "x-odist-status": "stream" },
    fetch: (url: string | URL | Request, init?: RequestInit) =>
      chats.app.fetch(new Request(url, init)),
  };
}

Deno.test("OpenAI's client reads the answer behind what is told of waiting", async () => {
  const chats = new WaitingChats();
  const client = new OpenAI({ ...options(chats), baseURL: "http://localhost:11434/v1" });
  const passed = passOn(chats);
  const stream = await client.chat.completions.create({
    ...{ model: "tiny", messages: [...MESSAGES], stream: true },
  });
  let text = "";
  for await (const { choices: [choice] } of stream) text += choice?.delta.content ?? "";
  await passed;
  assert.equal(text, "Hello");
  assert.ok(chats.timesTold >= 2, `${chats.timesTold} times told`);
});

Deno.test("Anthropic's client reads the answer behind what is told of waiting", async () => {
  const chats = new WaitingChats();
  const client = new Anthropic({ ...options(chats), baseURL: "http://localhost:11434" });
  const passed = passOn(chats);
  const stream = client.messages.stream({ model: "tiny", messages: [...MESSAGES], max_tokens: 5 });
  const { content: [block] } = await stream.finalMessage();
  await passed;
  assert.ok(block?.type === "text");
  assert.equal(block.text, "Hello");
  assert.ok(chats.timesTold >= 2, `${chats.timesTold} times told`);
});
