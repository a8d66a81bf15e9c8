// The HTTP app on a real socket: clients that leave, and answers in pieces.
import assert from "node:assert/strict";
import type { AnswerChunk } from "../../src/ports/mod.ts";
import { serveApp } from "../harness/served_app.ts";

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });
}

const ASK = { method: "POST", body: '{"model":"M","prompt":"x"}' };

Deno.test("a client that closes before the answer aborts the work", async () => {
  const asked = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<void>();
  await using server = await serveApp({
    generate: async (_request, signal) => {
      asked.resolve();
      await aborted(signal);
      stopped.resolve();
      throw signal.reason;
    },
  });
  const gone = new AbortController();
  const answer = fetch(`${server.origin}/api/generate`, { ...ASK, signal: gone.signal });
  await asked.promise;
  gone.abort();
  await assert.rejects(answer);
  await stopped.promise;
});

Deno.test("a client that closes while no token comes aborts the work", async () => {
  const stopped = Promise.withResolvers<void>();
  await using server = await serveApp({
    generate: async (_request, signal) => {
      async function* quiet(): AsyncGenerator<AnswerChunk> {
        yield { kind: "text", content: "first" };
        await aborted(signal);
        stopped.resolve();
        throw signal.reason;
      }
      return { kind: "stream", chunks: quiet() };
    },
  });
  const gone = new AbortController();
  const response = await fetch(`${server.origin}/api/generate`, { ...ASK, signal: gone.signal });
  const reader = response.body?.getReader();
  assert.match(new TextDecoder().decode((await reader?.read())?.value), /"first"/);
  gone.abort();
  await reader?.read().catch(() => undefined);
  await stopped.promise;
});

Deno.test("a line arrives before the next one exists", async () => {
  const second = Promise.withResolvers<void>();
  await using server = await serveApp({
    generate: async () => {
      async function* slow(): AsyncGenerator<AnswerChunk> {
        yield { kind: "text", content: "one" };
        await second.promise;
        yield { kind: "text", content: "two" };
      }
      return { kind: "stream", chunks: slow() };
    },
  });
  const response = await fetch(`${server.origin}/api/generate`, ASK);
  const reader = response.body?.getReader();
  assert.match(new TextDecoder().decode((await reader?.read())?.value), /"one"/);
  second.resolve();
  assert.match(new TextDecoder().decode((await reader?.read())?.value), /"two"/);
  await reader?.cancel();
});

Deno.test("a body that declares more than the limit is refused and the connection survives", async () => {
  await using server = await serveApp({});
  const body = JSON.stringify({ model: "M", prompt: "x".repeat(100_000) });
  const refused = await fetch(`${server.origin}/api/generate`, { method: "POST", body });
  assert.equal(refused.status, 413);
  await refused.body?.cancel();
  const next = await fetch(`${server.origin}/api/generate`, ASK);
  assert.equal(next.status, 200);
  await next.body?.cancel();
});

Deno.test("an upload that breaks off is a cancellation, not an error of ours", async () => {
  const begun = Promise.withResolvers<void>();
  const broken = Promise.withResolvers<void>();
  const server = await serveApp({
    writeBlob: async (_digest, bytes) => {
      try {
        for await (const _part of bytes) begun.resolve();
        return "created";
      } finally {
        broken.resolve();
      }
    },
  });
  const { hostname, port } = new URL(server.origin);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const head = `POST /api/blobs/sha256:${"a".repeat(64)} HTTP/1.1\r\nHost: localhost\r\n` +
    "Content-Length: 1000\r\n\r\nfirst bytes";
  await connection.write(new TextEncoder().encode(head));
  await begun.promise;
  connection.close();
  await broken.promise;
  await server[Symbol.asyncDispose]();
  assert.deepEqual(server.telemetry.lines.filter(({ level }) => level === "error"), []);
  assert.equal(server.telemetry.lines.at(-1)?.values["status"], 499);
});
