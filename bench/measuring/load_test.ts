import assert from "node:assert/strict";
import { complete, completeAll, LLAMA_SERVER_API, ODIST_API } from "./load.ts";

const SAMPLING = { temperature: 0, topK: 40, topP: 0.95, seed: 1 };

function request(prompt: string) {
  return { model: "m", prompt, answerTokens: 4, form: "raw" as const, sampling: SAMPLING };
}

/** Serves `answer` for the length of `use`. */
async function withServer(
  answer: (body: Record<string, unknown>) => Response | Promise<Response>,
  use: (origin: string) => Promise<void>,
): Promise<void> {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (incoming) => await answer(await incoming.json()),
  );
  await use(`http://127.0.0.1:${server.addr.port}`);
}

Deno.test("complete() reads Ollama's lines, cut anywhere", async () => {
  const text = `{"response":"a"}\n{"response":"ö"}\n` +
    `{"response":"","done":true,"eval_count":2,"prompt_eval_count":7}\n`;
  const bytes = new TextEncoder().encode(text);
  const body = () => ReadableStream.from([...bytes].map((byte) => Uint8Array.of(byte)));
  await withServer(() => new Response(body()), async (origin) => {
    const completion = await complete(ODIST_API, origin, request("p"));
    assert.equal(completion.text, "aö");
    assert.deepEqual([completion.answerTokens, completion.promptTokens], [2, 7]);
    assert.ok(completion.ttftMs <= completion.totalMs);
  });
});

Deno.test("complete() reads llama-server's events", async () => {
  const text = `data: {"content":"a","stop":false}\n\n` +
    `data: {"content":"b","stop":true,"tokens_predicted":2,"tokens_evaluated":3}\n\n`;
  await withServer(() => new Response(text), async (origin) => {
    const completion = await complete(LLAMA_SERVER_API, origin, request("p"));
    assert.equal(completion.text, "ab");
    assert.equal(completion.answerTokens, 2);
  });
});

Deno.test("complete() takes no broken answer for an answer", async () => {
  const broken = [
    () => new Response("no", { status: 503 }),
    () => new Response(`{"response":"a"}\n`),
    () => new Response(`{"response":"a"}\n{"error":"died"}\n`),
  ];
  for (const answer of broken) {
    await withServer(answer, async (origin) => {
      await assert.rejects(complete(ODIST_API, origin, request("p")));
    });
  }
});

Deno.test("completeAll() keeps the order of requests and the number of streams", async () => {
  let running = 0;
  let runningMax = 0;
  const answer = async (body: Record<string, unknown>) => {
    runningMax = Math.max(runningMax, ++running);
    await Promise.resolve();
    running--;
    return new Response(`{"response":"${body.prompt}","done":true,"eval_count":1}\n`);
  };
  await withServer(answer, async (origin) => {
    const requests = ["a", "b", "c", "d", "e"].map(request);
    const completions = await completeAll(requests, { api: ODIST_API, origin, streams: 2 });
    assert.equal(completions.map(({ text }) => text).join(""), "abcde");
    assert.ok(runningMax <= 2);
  });
});
