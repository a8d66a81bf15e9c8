// Responses told once more, from any event on: those that are kept, and those that are still made, here or elsewhere.
import assert from "node:assert/strict";
import { UnavailableError } from "../../base/mod.ts";
import type { Answer, AnswerChunk, ChatRequest } from "../../ports/mod.ts";
import { appUnderTest } from "../../../tests/harness/http_app.ts";
import { linkedWork, MemoryResponses } from "../../../tests/harness/kept_responses.ts";
import { streamOf } from "../../../tests/harness/scripted_client.ts";

const HELLO = { model: "M", input: "hi" };
const LOGPROB = { token: "ok", bytes: new Uint8Array([111, 107]), logprob: -0.5 };
const CHUNKS: readonly AnswerChunk[] = [
  { kind: "text", content: "", thinking: "hm" },
  { kind: "text", content: "", thinking: ", so" },
  { kind: "text", content: "ok", logprobs: [LOGPROB] },
  { kind: "text", content: " then", logprobs: [LOGPROB, LOGPROB] },
  { kind: "text", content: "", toolCalls: [{ id: "call_1", name: "f", arguments: { a: 1 } }] },
  { kind: "text", content: "done" },
];
type Send = ReturnType<typeof appUnderTest>["send"];

interface Told {
  readonly type: string;
  readonly sequence_number: number;
  readonly response?: { readonly id: string; readonly status: string };
}

function eventsIn(text: string): Told[] {
  return text.split("\n\n").filter((event) => event !== "")
    .map((event) => JSON.parse(event.slice(event.indexOf("data: ") + 6)));
}

async function stream(send: Send, id: string, after?: number | string): Promise<Told[]> {
  const from = after === undefined ? "" : `&starting_after=${after}`;
  const response = await send("GET", `/v1/responses/${id}?stream=true${from}`);
  assert.equal(response.status, 200, await response.clone().text());
  return eventsIn(await response.text());
}

/** A node that answers step by step, and another one that asks it. */
function twoNodes() {
  const responses = new MemoryResponses();
  const [work, elsewhere] = linkedWork();
  const steps = Array.from({ length: CHUNKS.length + 1 }, () => Promise.withResolvers<void>());
  const left = Promise.withResolvers<void>();
  const chat = (_request: ChatRequest, signal: AbortSignal): Promise<Answer> => {
    signal.addEventListener("abort", () => {
      left.resolve();
      for (const step of steps) step.reject(signal.reason);
    });
    for (const step of steps) step.promise.catch(() => {});
    async function* held() {
      const answer = await streamOf(CHUNKS);
      assert.ok(answer.kind === "stream");
      let at = 0;
      for await (const chunk of answer.chunks) {
        await steps[at++]?.promise;
        yield chunk;
      }
    }
    return Promise.resolve({ kind: "stream", chunks: held() });
  };
  const maker = appUnderTest({ responses, elsewhere: work, script: { chat } });
  const other = appUnderTest({ responses: responses.elsewhere(), elsewhere });
  return { responses, maker, other, steps, left };
}

function textsOf(events: readonly Told[]): string[] {
  return events.map((event) => JSON.stringify(event));
}

Deno.test("a response that is kept is told event by event as its client had it, from any event on", async () => {
  const { send } = appUnderTest({ script: { chat: () => Promise.resolve(streamOf(CHUNKS)) } });
  const include = ["message.output_text.logprobs"];
  const body = { ...HELLO, stream: true, include };
  const had = eventsIn(await (await send("POST", "/v1/responses", body)).text());
  const id = had[0]?.response?.id ?? "";
  assert.ok(had.filter(({ type }) => type.endsWith(".delta")).length === 6);
  for (let after = -1; after <= had.length; after++) {
    const told = await stream(send, id, after < 0 ? undefined : after);
    assert.deepEqual(textsOf(told), textsOf(had.slice(after + 1)), `after ${after}`);
  }
});

Deno.test("a response whose parts are not known any more is told item by item", async () => {
  const responses = new MemoryResponses();
  const chat = () => Promise.resolve(streamOf(CHUNKS));
  const { send } = appUnderTest({ responses, script: { chat } });
  const made = await (await send("POST", "/v1/responses", HELLO)).json();
  for (const [id, kept] of responses.kept) {
    const record = { ...JSON.parse(kept.json), cuts: "?" };
    responses.kept.set(id, { ...kept, json: JSON.stringify(record) });
  }
  const told = await stream(send, made.id);
  assert.equal(told.filter(({ type }) => type.endsWith("text.delta")).length, 3);
  assert.deepEqual(told.at(-1)?.response, made);
});

Deno.test("a response is made in the background and streamed, and goes on when its client has left", async () => {
  const { maker, responses, steps } = twoNodes();
  const finished = Promise.withResolvers<void>();
  responses.onKept = (_record, isFinal) => isFinal && finished.resolve();
  const body = { ...HELLO, stream: true, background: true };
  const streaming = await maker.send("POST", "/v1/responses", body);
  const reader = streaming.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const readTo = async (mark: string) => {
    while (!text.includes(mark)) text += (await reader?.read())?.value ?? "";
  };
  await readTo("response.in_progress");
  steps[0]?.resolve();
  await readTo("reasoning_text.delta");
  await reader?.cancel();
  for (const step of steps) step.resolve();
  await finished.promise;
  const had = eventsIn(text);
  const told = await stream(maker.send, had[0]?.response?.id ?? "", had.length - 1);
  assert.deepEqual(told.map(({ sequence_number: number }) => number), [
    ...told.keys().map((index) => had.length + index),
  ]);
  assert.equal(told.at(-1)?.type, "response.completed");
});

Deno.test("a response is followed on another node than the one that makes it", async () => {
  const { maker, other, steps } = twoNodes();
  const body = { ...HELLO, background: true };
  const { id } = await (await maker.send("POST", "/v1/responses", body)).json();
  for (const step of steps.slice(0, 3)) step.resolve();
  const here = stream(maker.send, id);
  const there = stream(other.send, id);
  const late = stream(other.send, id, 4);
  for (const step of steps) step.resolve();
  const told = textsOf(await there);
  assert.deepEqual(told, textsOf(await here));
  assert.deepEqual(textsOf(await late), told.slice(5));
  assert.deepEqual(told, textsOf(await stream(other.send, id)), "the same once it is kept");
});

Deno.test("a response is cancelled on any node, and what there is of it stays", async () => {
  const { maker, other, steps, left } = twoNodes();
  const body = { ...HELLO, background: true };
  const { id } = await (await maker.send("POST", "/v1/responses", body)).json();
  const following = stream(other.send, id);
  for (const step of steps.slice(0, 3)) step.resolve();
  // It has been said by the time another follower has heard it.
  const watching = await maker.send("GET", `/v1/responses/${id}?stream=true`);
  const reader = watching.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !text.includes("output_text.delta");) text += (await reader?.read())?.value;
  const cancelled = await (await other.send("POST", `/v1/responses/${id}/cancel`)).json();
  await left.promise;
  assert.equal(cancelled.status, "cancelled");
  const texts = cancelled.output.map((item: { content: [{ text: string }] }) =>
    item.content[0].text
  );
  assert.deepEqual(texts, ["hm, so", "ok"]);
  assert.ok((await following).every(({ type }) => type !== "response.completed"));
  const again = await (await maker.send("GET", `/v1/responses/${id}`)).json();
  assert.deepEqual(again, cancelled);
});

Deno.test("a response that is deleted while it is made, here or elsewhere, is gone for good", async () => {
  for (const where of ["maker", "other"] as const) {
    const nodes = twoNodes();
    const body = { ...HELLO, background: true };
    const { id } = await (await nodes.maker.send("POST", "/v1/responses", body)).json();
    const deleted = await nodes[where].send("DELETE", `/v1/responses/${id}`);
    assert.equal(deleted.status, 200, where);
    await nodes.left.promise;
    assert.equal((await nodes.maker.send("GET", `/v1/responses/${id}`)).status, 404, where);
    assert.equal(nodes.responses.kept.size, 0, where);
  }
});

Deno.test("a response that fails while it is followed ends with the failure, the same for all", async () => {
  const { maker, other, steps } = twoNodes();
  const body = { ...HELLO, background: true };
  const { id } = await (await maker.send("POST", "/v1/responses", body)).json();
  steps[0]?.resolve();
  const there = stream(other.send, id);
  steps[1]?.reject(new UnavailableError("queue_full", "full"));
  const told = await there;
  assert.deepEqual(told.at(-1)?.type, "response.failed");
  assert.deepEqual(textsOf(told), textsOf(await stream(maker.send, id)));
});

Deno.test("a number that no event has is refused, and a later one than the last leaves nothing to tell", async () => {
  const { send } = appUnderTest();
  const { id } = await (await send("POST", "/v1/responses", HELLO)).json();
  for (const wrong of ["-1", "x", "1.5", ""]) {
    const path = `/v1/responses/${id}?stream=true&starting_after=${wrong}`;
    const response = await send("GET", path);
    assert.equal(response.status, 400, wrong);
    assert.match((await response.json()).error.message, /^starting_after: /);
  }
  assert.deepEqual(await stream(send, id, 999), []);
});
