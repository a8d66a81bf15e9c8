import assert from "node:assert/strict";
import { WaitingChats } from "../../tests/harness/waiting_chats.ts";
import { UnavailableError } from "../base/mod.ts";

const WAITING = {
  "/api/chat": '{"status":"waiting","position":3,"eta":12.3}\n',
  "/v1/chat/completions": ": position=3; eta=12.3\n\n",
  "/v1/messages": ': position=3; eta=12.3\n\nevent: ping\ndata: {"type":"ping"}\n\n',
};

for (const [path, waiting] of Object.entries(WAITING)) {
  Deno.test(`${path} tells where its request stands while it waits, where it is asked to, and then the same answer`, async () => {
    const chats = new WaitingChats();
    const { clock } = chats;
    const asked = chats.ask(path);
    await clock.advance(1_000);
    const response = await asked;
    assert.equal(response.headers.get("x-odist-queue"), "position=3; eta=12.3; waited=0.0");
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader?.read())?.value, waiting);
    chats.place = { position: 1, etaMs: undefined };
    const next = reader?.read();
    await clock.advance(1_000);
    assert.match((await next)?.value ?? "", /position"?[=:]1/);
    chats.letGo();
    let text = "";
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      text += part.value;
    }
    const plain = new WaitingChats();
    plain.letGo();
    const other = await (await plain.ask(path, "")).text();
    const shape = (events: string) =>
      events.replaceAll(/"(id|created_at|created)":("[^"]*"|\d+)/g, "");
    assert.equal(shape(text), shape(other));
  });

  Deno.test(`${path} says nothing of waiting to those that did not ask for it`, async () => {
    const chats = new WaitingChats();
    const asked = chats.ask(path, "");
    await chats.clock.advance(5_000);
    chats.letGo();
    const text = await (await asked).text();
    assert.doesNotMatch(text, /position/);
  });

  Deno.test(`${path} tells in the stream what a request is refused for that waited long, and before it as ever`, async () => {
    const chats = new WaitingChats();
    const asked = chats.ask(path);
    await chats.clock.advance(1_000);
    const response = await asked;
    chats.refuse(new UnavailableError("load_failed", "it never loaded"));
    assert.match(await response.text(), /position.*it never loaded/s);
    const early = new WaitingChats();
    early.refuse(new UnavailableError("load_failed", "it never loaded"));
    const refused = await early.ask(path);
    assert.ok(refused.status >= 500, `${refused.status}`);
    await refused.body?.cancel();
  });
}

Deno.test("a client that leaves while it is told of waiting waits no more", async () => {
  const chats = new WaitingChats();
  const { clock } = chats;
  const asked = chats.ask("/api/chat");
  await clock.advance(1_000);
  const reader = (await asked).body?.getReader();
  await reader?.read();
  void reader?.cancel();
  await clock.advance(1_000);
  assert.equal(chats.hasLeft, true);
});

Deno.test("another status than one in the stream is refused", async () => {
  const response = await new WaitingChats().ask("/api/chat", "email");
  assert.equal(response.status, 400);
  assert.match(await response.text(), /X-Odist-Status must be stream: current value is ..?email/);
});
