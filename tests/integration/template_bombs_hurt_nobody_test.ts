import assert from "node:assert/strict";
import { startNode, type TestNode } from "../harness/node.ts";
import { GO_BOMBS, JINJA_BOMBS } from "../harness/template_bombs.ts";
import { createVariant } from "../harness/test_models.ts";

/** What is promised is 100 ms; a machine that runs other tests too gets room in single cases, never in most. */
const LIST_MS_TYPICAL = 100;
const LIST_MS_MAX = 2_000;
const BOMB_ERROR =
  /template takes more than (250 ms|64 MiB of memory)|Invalid string length|more than 8388608 characters/;
const user = { role: "user", content: "hi" };

/** Asks again and again until `work` has ended; how long each took, in milliseconds. */
async function timesDuring(ask: () => Promise<unknown>, work: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let isOver = false;
  const over = work.finally(() => isOver = true);
  const asked = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      await ask();
      times.push(performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  await Promise.all([over, asked]);
  return times.sort((a, b) => a - b);
}

function assertQuick(what: string, times: readonly number[]): void {
  const median = times[times.length >> 1] ?? 0;
  const worst = times.at(-1) ?? 0;
  console.log(`${what}: ${times.length}, median ${median.toFixed(1)} ms, ${worst.toFixed(0)} ms`);
  assert.ok(median < LIST_MS_TYPICAL, `median ${median} ms`);
  assert.ok(worst < LIST_MS_MAX, `worst ${worst} ms`);
}

async function list(node: TestNode): Promise<Record<string, unknown>[]> {
  const response = await node.get("/api/tags");
  const { models } = await response.json();
  return models;
}

function renderTiny(node: TestNode): Promise<unknown> {
  return node.ask("/api/chat", { model: "tiny", messages: [user], _debug_render_only: true });
}

async function assertRefused(node: TestNode, path: string, body: unknown): Promise<void> {
  const response = await node.post(path, body);
  const { error } = await response.json();
  assert.ok(response.status === 400 || response.status === 500, `${response.status} ${error}`);
  assert.match(error, BOMB_ERROR);
}

Deno.test("Models with template bombs are listed at once and fail alone", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-bombs-" });
  const names = Object.keys(JINJA_BOMBS).map((_, index) => `bomb${index}`);
  try {
    {
      await using node = await startNode({ environment: { OLLAMA_MODELS: folder } });
      const created = (async () => {
        for (const [index, template] of Object.values(JINJA_BOMBS).entries()) {
          await createVariant(node, `bomb${index}`, { "tokenizer.chat_template": template });
        }
      })();
      assertQuick("list while bombs are created", await timesDuring(() => list(node), created));
      assert.equal((await list(node)).length, names.length + 1);
      const asked = (async () => {
        for (const model of names) {
          await assertRefused(node, "/api/chat", { model, messages: [user], stream: false });
          await node.ask("/api/show", { model });
        }
      })();
      assertQuick("list while bombs are asked", await timesDuring(() => list(node), asked));
      await node.stop();
    }
    await using again = await startNode({ environment: { OLLAMA_MODELS: folder } });
    assert.equal((await list(again)).length, names.length + 1);
    await renderTiny(again);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Requests with template bombs fail alone while others are rendered", async () => {
  await using node = await startNode();
  await renderTiny(node);
  const asked = Promise.all(
    Object.values(GO_BOMBS).map((template) =>
      assertRefused(node, "/api/generate", { model: "tiny", prompt: "hi", template, stream: false })
    ),
  );
  assertQuick("renderings beside bombs", await timesDuring(() => renderTiny(node), asked));
  assert.equal((await list(node)).length, 1);
});
