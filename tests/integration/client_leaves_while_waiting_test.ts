import assert from "node:assert/strict";
import { startNode, type TestNode } from "../harness/node.ts";

/** Longer than any test takes, at the speed of any machine. */
const ENDLESS = {
  model: "tiny",
  prompt: "x",
  raw: true,
  format: { type: "array", minItems: 2000, items: { type: "string", minLength: 20 } },
  options: { num_predict: 10_000 },
};
const WAIT_MS_MAX = 10_000;

async function queued(node: TestNode): Promise<number> {
  const text = await (await node.get("/metrics")).text();
  return Number(/^odist_queue_requests (\d+)$/m.exec(text)?.[1]);
}

/** Asks until so many requests wait; false when the time is over. */
async function seesQueued(node: TestNode, count: number): Promise<boolean> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (performance.now() < deadlineMs) if (await queued(node) === count) return true;
  return false;
}

/** Sends a request on a connection of its own, head and body in packets of their own, as most clients do. */
async function sendAlone(node: TestNode, body: unknown): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(node.origin);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  connection.setNoDelay();
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const head =
    `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes.length}\r\n\r\n`;
  for (let rest = new TextEncoder().encode(head); rest.length > 0;) {
    rest = rest.subarray(await connection.write(rest));
  }
  // An answer to another request says that the head was read by itself.
  await queued(node);
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
  return connection;
}

for (const promptLength of [1, 100_000]) {
  Deno.test({
    name: `a client that leaves the queue after a prompt of ${promptLength} characters is dropped`,
    // Elsewhere the kernel does not tell.
    ignore: Deno.build.os !== "linux",
    async fn() {
      await using node = await startNode({ environment: { OLLAMA_NUM_PARALLEL: "1" } });
      const running = await node.post("/api/generate", ENDLESS);
      const body = { model: "tiny", prompt: "x".repeat(promptLength), stream: false };
      const waiting = await sendAlone(node, body);
      assert.ok(await seesQueued(node, 1));
      waiting.close();
      assert.ok(await seesQueued(node, 0));
      await running.body?.cancel();
    },
  });
}
