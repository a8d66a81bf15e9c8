// What odist answers beside the contract: tokens and ranks.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest } from "../harness/node.ts";

const node = nodeForFile();

interface Answered {
  readonly tokens: readonly number[];
  readonly content: string;
  readonly prompt_eval_count: number;
  readonly error: string;
}

async function ask(
  path: string,
  body: unknown,
): Promise<{ readonly status: number; readonly answer: Answered }> {
  const response = await node().post(path, body);
  return { status: response.status, answer: await response.json() };
}

nodeTest("tokens of a text are the text again, and are what a prompt is counted in", async () => {
  const content = "The fox walks home — žluťoučký 🦊.";
  const { answer } = await ask("/api/tokenize", { model: "tiny", content });
  assert.ok(answer.tokens.length > 5);
  const { answer: back } = await ask("/api/detokenize", { model: "tiny", tokens: answer.tokens });
  assert.equal(back.content, content);
  const special = await ask("/api/tokenize", { model: "tiny", content, add_special: true });
  const raw = { model: "tiny", prompt: content, raw: true, stream: false };
  const generated = await ask("/api/generate", { ...raw, options: { num_predict: 1 } });
  assert.equal(generated.answer.prompt_eval_count, special.answer.tokens.length);
});

nodeTest(
  "tokens that the model doesn't have, and models that aren't there, are refused",
  async () => {
    const strays = await ask("/api/detokenize", { model: "tiny", tokens: [1, 10_000_000] });
    assert.equal(strays.status, 400);
    assert.match(strays.answer.error, /"tiny" has 0 to \d+, got 10000000/);
    const absent = await ask("/api/tokenize", { model: "nope", content: "x" });
    assert.deepEqual(absent, { status: 404, answer: { error: "model 'nope' not found" } });
    const long = await ask("/api/tokenize", {
      model: "tiny",
      content: "x".repeat(1024 * 1024 + 1),
    });
    assert.equal(long.status, 400);
    assert.match(long.answer.error, /at most 1048576 characters/);
  },
);

nodeTest("a model that completes refuses to rank", async () => {
  const wish = { model: "tiny", query: "q", documents: ["d"] };
  const { status, answer } = await ask("/api/rerank", wish);
  assert.deepEqual([status, answer], [400, { error: '"tiny" does not support rerank' }]);
});
