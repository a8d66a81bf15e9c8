// What a node takes in is bounded by what it costs, not only by its bytes: 8 MiB of JSON that would become gigabytes or
// seconds, and bodies that are announced and never sent.
import assert from "node:assert/strict";
import { startNode, type TestNode } from "../harness/node.ts";

const MIB = 2 ** 20;
const BODY_BYTES = 8 * MIB;
const IMAGE_MIB = 40;
/** Ten times the body, above what the node held before. */
const GROWTH_MIB_MAX = 80;
/** The event loop may not be held longer. */
const STALL_MS_MAX = 250;
const TRIES = 3;
/** How often the node is asked whether it still answers. */
const ASK_EVERY_MS = 10;

/** As many of `part` as fit into a body of the size, between `before` and `after`. */
function filled(before: string, part: string, after: string): string {
  const count = Math.floor((BODY_BYTES - before.length - after.length - 16) / (part.length + 1));
  return `${before}${Array(count).fill(part).join(",")}${after}`;
}

function keyed(before: string, entry: (index: number) => string, after: string): string {
  let entries = entry(0);
  for (let index = 1; entries.length < BODY_BYTES - 100; index++) entries += `,${entry(index)}`;
  return `${before}${entries}${after}`;
}

const nested = (text: string) => JSON.stringify(text).slice(1, -1);
const called = (text: string) =>
  `{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"${text}"}}]}`;
const V1_HEAD = '{"model":"nope","messages":[';

/** Each kills a node, or holds it for seconds, that parses before it counts. */
const BOMBS: readonly (readonly [string, string, string])[] = [
  ["empty tools", "/api/chat", filled('{"model":"nope","tools":[', "{}", "]}")],
  ["empty messages", "/api/chat", filled('{"model":"nope","messages":[', "{}", "]}")],
  ["a list of objects", "/api/show", filled("[", "{}", "]")],
  ["a list of lists", "/api/embed", filled('{"model":"nope","input":[', "[]", "]}")],
  ["nested lists", "/api/generate", `{"format":${"[".repeat(BODY_BYTES - 100)}`],
  ["nested objects", "/api/generate", `{"format":${'{"":'.repeat(BODY_BYTES / 4 - 100)}`],
  ["distinct keys", "/api/generate", keyed("{", (index) => `"k${index}":""`, "}")],
  [
    "keys far apart",
    "/api/generate",
    keyed('{"options":{', (index) => `"${index * 1_023}":0`, "}}"),
  ],
  ["short strings", "/api/embed", filled('{"model":"nope","input":[', '""', "]}")],
  ["numbers", "/api/generate", filled('{"model":"nope","context":[', "1", "]}")],
  ["escapes", "/api/generate", filled('{"model":"nope","prompt":"', "\\n", '"}')],
  [
    "arguments of a call",
    "/v1/chat/completions",
    filled(`${V1_HEAD}${called(nested('{"a":[')).slice(0, -7)}`, "{}", `${nested("]}")}"}}]}]}`),
  ],
  [
    "arguments of many calls",
    "/v1/chat/completions",
    filled(V1_HEAD, called(nested(`{"a":[${Array(1_000).fill("{}").join(",")}]}`)), "]}"),
  ],
  [
    "results of calls",
    "/v1/chat/completions",
    filled(V1_HEAD, '{"role":"tool","tool_call_id":"x","content":""}', "]}"),
  ],
  // As much as is accepted of each.
  ["65,000 objects", "/api/show", `{"model":"nope","options":{"a":[${Array(65_000).fill("{}")}]}}`],
  [
    "65,000 keys",
    "/api/show",
    `{"model":"nope",${Array.from({ length: 65_000 }, (_, index) => `"k${index}":0`)}}`,
  ],
  [
    "1,000,000 numbers",
    "/api/generate",
    `{"model":"nope","context":[${Array(1e6).fill("12345")}]}`,
  ],
  ["8,000 inputs", "/api/embed", `{"model":"nope","input":[${Array(8_000).fill('""')}]}`],
  [
    "10,000 results of calls",
    "/v1/chat/completions",
    `${V1_HEAD}${Array(10_000).fill('{"role":"tool","tool_call_id":"x","content":""}')}]}`,
  ],
];

/** Resident memory of a process since the last reset, at its highest. */
function peakMib(node: TestNode): number {
  const status = Deno.readTextFileSync(`/proc/${node.pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

function resetPeak(node: TestNode): void {
  Deno.writeTextFileSync(`/proc/${node.pid}/clear_refs`, "5");
}

/** Milliseconds for which a process's first thread, its event loop, could run and others had the processor. */
function queuedMs(pid: number): number {
  const [, queuedNs = 0] = Deno.readTextFileSync(`/proc/${pid}/schedstat`).split(" ").map(Number);
  return queuedNs / 1e6;
}

/**
 * Asks for the node's health again and again until ended, which tells the longest wait in milliseconds, without that for the
 * processor: it is no work of the node's.
 */
function watchHealth(node: TestNode): { end(): Promise<number> } {
  let watching = true;
  let longestMs = 0;
  const heldMs = () => performance.now() - queuedMs(node.pid) - queuedMs(Deno.pid);
  const watched = (async () => {
    while (watching) {
      const startedMs = heldMs();
      await (await node.get("/health")).body?.cancel();
      longestMs = Math.max(longestMs, heldMs() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  })();
  return {
    async end() {
      watching = false;
      await watched;
      return longestMs;
    },
  };
}

Deno.test({
  name: "8 MiB of JSON takes at most ten times its memory and holds the event loop for no 250 ms",
  ignore: Deno.build.os !== "linux",
  async fn(test) {
    await using node = await startNode();
    // The first large body grows the heap for all that come after it.
    await (await post(node, "/api/generate", filled('{"model":"nope","x":"', "x", '"}'))).text();
    for (const [name, path, body] of BOMBS) {
      await test.step(name, async () => {
        assert.ok(body.length <= BODY_BYTES, `${body.length}`);
        const stalls: number[] = [];
        // What others do on this machine comes and goes; what the body does is there each time.
        while (stalls.length < TRIES && stalls.every((stalledMs) => stalledMs >= STALL_MS_MAX)) {
          resetPeak(node);
          const beforeMib = peakMib(node);
          const health = watchHealth(node);
          const answer = await post(node, path, body);
          const said = await answer.text();
          stalls.push(await health.end());
          assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}: ${said}`);
          const grownMib = peakMib(node) - beforeMib;
          assert.ok(grownMib <= GROWTH_MIB_MAX, `grew by ${grownMib} MiB`);
        }
        assert.ok(Math.min(...stalls) < STALL_MS_MAX, `stalled for ${stalls} ms`);
      });
    }
  },
});

Deno.test({
  name: "an image of 40 MiB is held as bytes and never as text",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using node = await startNode();
    const image = "A".repeat(IMAGE_MIB * MIB);
    await (await post(node, "/api/chat", '{"model":"nope"}')).text();
    const body =
      `{"model":"nope","messages":[{"role":"user","content":"x","images":["${image}"]}]}`;
    const stalls: number[] = [];
    while (stalls.length < TRIES && stalls.every((stalledMs) => stalledMs >= STALL_MS_MAX)) {
      resetPeak(node);
      const beforeMib = peakMib(node);
      const health = watchHealth(node);
      const answer = await post(node, "/api/chat", body);
      assert.deepEqual([answer.status, await answer.json()], [404, {
        error: "model 'nope' not found",
      }]);
      stalls.push(await health.end());
      const grownMib = peakMib(node) - beforeMib;
      // Three quarters of its base64, in a buffer that doubles as it grows.
      assert.ok(grownMib < 3 * IMAGE_MIB, `grew by ${grownMib} MiB`);
    }
    assert.ok(Math.min(...stalls) < STALL_MS_MAX, `stalled for ${stalls} ms`);
  },
});

Deno.test({
  name: "a body that is announced and not sent takes no memory",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using node = await startNode();
    const { hostname, port } = new URL(node.origin);
    const head = `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${BODY_BYTES}`;
    const sent = new TextEncoder().encode(`${head}\r\n\r\n{"model":"nope"`);
    await (await node.get("/health")).text();
    const beforeMib = peakMib(node);
    const connections = await Promise.all(Array.from({ length: 100 }, async () => {
      const connection = await Deno.connect({ hostname, port: Number(port) });
      await connection.write(sent);
      return connection;
    }));
    // Answered behind the others: by now each of them has been read.
    await (await node.get("/health")).text();
    await (await node.get("/health")).text();
    const grownMib = peakMib(node) - beforeMib;
    for (const connection of connections) connection.close();
    assert.ok(grownMib < 100, `grew by ${grownMib} MiB`);
  },
});

function post(node: TestNode, path: string, body: string): Promise<Response> {
  return fetch(`${node.origin}${path}`, { method: "POST", body });
}
