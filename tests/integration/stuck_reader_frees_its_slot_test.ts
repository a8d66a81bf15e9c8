// A client that asks for a long answer and takes nothing of it must not keep a model from everyone else.
import assert from "node:assert/strict";
import type { AnswerChunk } from "../../src/ports/mod.ts";
import { HandClock } from "../harness/hand_clock.ts";
import { rawClient } from "../harness/raw_http.ts";
import { serveApp } from "../harness/served_app.ts";

Deno.test("an answer that nobody reads for a minute ends, and its work with it", async () => {
  const clock = new HandClock();
  let made = 0;
  let isFreed = false;
  await using server = await serveApp({
    generate: async () => {
      async function* endless(): AsyncGenerator<AnswerChunk> {
        try {
          for (;; made++) yield { kind: "text", content: "x".repeat(20_000) };
        } finally {
          isFreed = true;
        }
      }
      return { kind: "stream", chunks: endless() };
    },
  }, clock);
  const { hostname, port } = new URL(server.origin);
  using client = await rawClient({ hostname, port: Number(port) });
  const body = '{"model":"M","prompt":"x"}';
  await client.send(
    `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  // Until the kernel takes no more of it.
  for (let before = -1; before !== made || made === 0;) {
    before = made;
    await askHealth(server.origin);
    await clock.advance(1_000);
  }
  for (let second = 0; second < 62; second++) await clock.advance(1_000);
  await askHealth(server.origin);
  assert.ok(isFreed);
});

/** By the time it is answered, what was ready before has run. */
async function askHealth(origin: string): Promise<void> {
  assert.equal(await (await fetch(`${origin}/health`)).text(), '{"status":"ok"}');
}
