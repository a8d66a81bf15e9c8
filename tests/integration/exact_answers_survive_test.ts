import assert from "node:assert/strict";
import { IS_LONG } from "../harness/cluster.ts";
import { startNode, type TestNode } from "../harness/node.ts";
import { realModel } from "../harness/real_models.ts";
import { killRunners } from "../harness/runners.ts";
import { uploadBlob } from "../harness/test_models.ts";

const STORY = Array.from(
  { length: 8 },
  (_, index) => `Mention house number ${index * 37}, its owner and the colour of its door.`,
).join(" ");
const messages = [{ role: "user", content: `Describe a street. ${STORY}` }];
const options = { num_predict: 32, seed: 11, temperature: 0.8 };
const chat = { model: "smol", messages, options };
const TOOL = {
  type: "function",
  function: {
    name: "paint_door",
    description: "Paints a door",
    parameters: {
      type: "object",
      properties: { colour: { type: "string" }, house: { type: "integer" } },
      required: ["colour", "house"],
    },
  },
};

/** A request, its way, and the piece of the stream behind which its runner dies. */
interface Asked {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly diesAfter: number;
}

const KINDS: Readonly<Record<string, Asked>> = {
  "a greedy answer": {
    path: "/api/chat",
    body: { ...chat, options: { ...options, temperature: 0 } },
    diesAfter: 20,
  },
  "a seeded answer": { path: "/api/chat", body: chat, diesAfter: 7 },
  "an answer with log probabilities": {
    path: "/api/chat",
    body: { ...chat, logprobs: true, top_logprobs: 3 },
    diesAfter: 25,
  },
  "an answer under a JSON schema": {
    path: "/api/chat",
    body: {
      ...chat,
      format: {
        type: "object",
        properties: { doors: { type: "array", items: { type: "string" } } },
        required: ["doors"],
      },
    },
    diesAfter: 3,
  },
  "an answer that thinks": { path: "/api/chat", body: { ...chat, think: true }, diesAfter: 12 },
  "a tool call": {
    path: "/v1/chat/completions",
    body: {
      ...{ model: "smol", messages, tools: [TOOL], tool_choice: "required" },
      ...{ seed: 11, temperature: 0.8, max_tokens: 120, stream: true },
    },
    diesAfter: 1,
  },
};

const { path: modelPath, missing } = await realModel("smollm2");

Deno.test({
  name:
    `An exact answer is the same in a crowd, after another prompt and when its runner is killed${missing}`,
  // A minute of a core. Every day `tiny` does the same between two nodes.
  ignore: missing !== "" || Deno.build.os === "windows" || !IS_LONG,
  async fn() {
    await using node = await startNode({
      environment: {
        ...{ ODIST_EXACT: "on", ODIST_SLOTS: "2", ODIST_THREADS: "1" },
        ODIST_CONTEXT_LENGTH: "1024",
      },
    });
    const files = { "model.gguf": await uploadBlob(node, await Deno.readFile(modelPath)) };
    const family = { renderer: "qwen3", parser: "qwen3" };
    await node.ask("/api/create", { model: "smol", files, ...family, stream: false });
    for (const [kind, asked] of Object.entries(KINDS)) {
      const alone = await said(node, asked);
      assert.notEqual(alone.text, "", kind);
      const other = {
        ...asked,
        body: { ...asked.body, messages: [{ role: "user", content: STORY }] },
      };
      const [crowded] = await Promise.all([said(node, asked), said(node, other)]);
      assert.deepEqual(crowded, alone, `${kind}, in a crowd`);
      assert.deepEqual(await said(node, asked), alone, `${kind}, after another prompt`);
      let killed = 0;
      const kill = async () => void (killed += await killRunners(node.pid));
      assert.deepEqual(await said(node, asked, kill), alone, `${kind}, killed`);
      assert.equal(killed, 1, `${kind} met no death`);
    }
    assert.equal(await resumedCount(node), Object.keys(KINDS).length);
  },
});

/** What was written, and each log probability. `die` is called in the middle. */
async function said(node: TestNode, asked: Asked, die?: () => Promise<void>) {
  const response = await node.post(asked.path, asked.body);
  assert.equal(response.headers.get("x-odist-exact"), "yes");
  let text = "";
  const logprobs: unknown[] = [];
  let pieces = 0;
  for await (const line of linesOf(response)) {
    const message = line.message ?? line.choices?.[0]?.delta ?? {};
    text += (message.thinking ?? "") + (message.content ?? "");
    for (const call of message.tool_calls ?? []) text += JSON.stringify(call.function);
    logprobs.push(...line.logprobs ?? []);
    if (++pieces === asked.diesAfter) await die?.();
  }
  return { text, logprobs };
}

interface Line {
  readonly message?: Message;
  readonly choices?: readonly { readonly delta?: Message }[];
  readonly logprobs?: readonly unknown[];
}
interface Message {
  readonly content?: string | null;
  readonly thinking?: string;
  readonly tool_calls?: readonly { readonly function: unknown }[];
}

/** Of a stream of JSON lines or of events. */
async function* linesOf(response: Response): AsyncGenerator<Line> {
  assert.ok(response.body !== null);
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const json = line.replace(/^data: /, "");
      if (json.startsWith("{")) yield JSON.parse(json);
    }
  }
}

async function resumedCount(node: TestNode): Promise<number> {
  const text = await (await node.get("/metrics")).text();
  return Number(/^odist_answers_resumed_total (\d+)$/m.exec(text)?.[1]);
}
