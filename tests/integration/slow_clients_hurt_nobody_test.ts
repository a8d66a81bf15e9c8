// A thousand connections that hold their places and do nothing with them.
import assert from "node:assert/strict";
import { type RawClient, rawClient } from "../harness/raw_http.ts";
import { startNode, type TestNode } from "../harness/node.ts";

const CLIENTS = 1_000;
const GROWTH_MIB_MAX = 100;
const HEALTH_MS_MAX = 100;
const TRIES = 20;

const KINDS: Readonly<Record<string, string>> = {
  "say nothing": "",
  "send half of their headers": "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nX: y",
  "send a part of their body":
    'POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n{"model"',
  "send a part of a blob": `POST /api/blobs/sha256:${
    "a".repeat(64)
  } HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000000\r\n\r\nGGUF`,
  "keep their connection after an answer": "GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n",
};

function residentMib(node: TestNode): number {
  const status = Deno.readTextFileSync(`/proc/${node.pid}/status`);
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** The median of some: what others do on this machine comes and goes. */
async function healthMs(node: TestNode): Promise<number> {
  const waits: number[] = [];
  for (let time = 0; time < TRIES; time++) {
    const startedMs = performance.now();
    const response = await node.get("/health");
    await response.body?.cancel();
    assert.equal(response.status, 200);
    waits.push(performance.now() - startedMs);
  }
  return waits.sort((a, b) => a - b)[TRIES / 2] ?? Infinity;
}

for (const [what, text] of Object.entries(KINDS)) {
  Deno.test({
    name: `${CLIENTS} clients that ${what} take little memory and nobody's time`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      await using node = await startNode();
      const { hostname, port } = new URL(node.origin);
      await healthMs(node);
      const beforeMib = residentMib(node);
      const clients: RawClient[] = [];
      try {
        for (let count = 0; count < CLIENTS; count++) {
          const client = await rawClient({ hostname, port: Number(port) });
          clients.push(client);
          await client.send(text);
        }
        const waitMs = await healthMs(node);
        const grownMib = residentMib(node) - beforeMib;
        assert.ok(waitMs < HEALTH_MS_MAX, `/health took ${waitMs} ms`);
        assert.ok(grownMib < GROWTH_MIB_MAX, `grew by ${grownMib} MiB`);
      } finally {
        for (const client of clients) client[Symbol.dispose]();
      }
    },
  });
}
