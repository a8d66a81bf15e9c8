// Contract section 8, embeddings against a running node: the embedded model's weights with a pooling type.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { createVariant, EMBEDDING_EDITS } from "../harness/test_models.ts";

const node = nodeForFile();
const TOO_LONG = "word ".repeat(5000);

Deno.test.beforeAll(async () => await createVariant(node(), "vectors", EMBEDDING_EDITS));

async function embed(body: Record<string, unknown>) {
  const answer = await node().ask("/api/embed", { model: "vectors", ...body });
  return { ...answer, embeddings: answer["embeddings"] as number[][] };
}

function norm(vector: readonly number[]): number {
  return Math.hypot(...vector);
}

nodeTest("contract #33 an embedding model neither chats nor generates", async () => {
  const messages = [{ role: "user", content: "x" }];
  const chatted = await node().post("/api/chat", { model: "vectors", messages });
  assert.equal(chatted.status, 400);
  assert.equal((await chatted.json()).error, '"vectors" does not support chat');
  const generated = await node().post("/api/generate", { model: "vectors", prompt: "x" });
  assert.equal(generated.status, 400);
  assert.equal((await generated.json()).error, '"vectors" does not support generate');
});

nodeTest("contract #78 one input gives one vector of length 1", async () => {
  const answer = await embed({ input: "hello" });
  const [vector = []] = answer.embeddings;
  assert.equal(answer.embeddings.length, 1);
  assert.ok(Math.abs(norm(vector) - 1) < 1e-3);
  assert.ok(Number(Reflect.get(answer, "prompt_eval_count")) > 0);
});

nodeTest("contract #79 a list gives vectors in order, each as alone", async () => {
  const inputs = ["one fox", "two bears in a wood", "three"];
  const together = await embed({ input: inputs });
  for (const [index, input] of inputs.entries()) {
    const [alone = []] = (await embed({ input })).embeddings;
    const vector = together.embeddings[index] ?? [];
    assert.equal(vector.length, alone.length);
    const distance = Math.hypot(...vector.map((value, at) => value - (alone[at] ?? 0)));
    assert.ok(distance < 1e-3, `${input}: ${distance}`);
  }
});

nodeTest("contract #80 no input only loads the model", async () => {
  assert.deepEqual((await embed({})).embeddings, []);
  assert.deepEqual((await embed({ input: [] })).embeddings, []);
});

nodeTest("contract #81 inputs of another type get 400", async () => {
  for (const input of [[1], {}]) {
    const response = await node().post("/api/embed", { model: "vectors", input });
    assert.equal(response.status, 400);
    assert.deepEqual(await response.json(), { error: "invalid input type" });
  }
});

nodeTest("contract #82 too long an input without truncate gets 400", async () => {
  const response = await node().post("/api/embed", {
    model: "vectors",
    input: TOO_LONG,
    truncate: false,
  });
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), {
    error: "the input length exceeds the context length",
  });
});

nodeTest("contract #83 too long an input is cut by default", async () => {
  assert.equal((await embed({ input: TOO_LONG })).embeddings.length, 1);
});

nodeTest("contract #84 fewer dimensions give shorter vectors of length 1", async () => {
  const [vector = []] = (await embed({ input: "hello", dimensions: 8 })).embeddings;
  assert.equal(vector.length, 8);
  assert.ok(Math.abs(norm(vector) - 1) < 1e-3);
});

nodeTest("contract #85 the older endpoint gives one vector", async () => {
  const answer = await node().ask("/api/embeddings", { model: "vectors", prompt: "hello" });
  assert.ok((answer["embedding"] as number[]).length > 8);
  const empty = await node().ask("/api/embeddings", { model: "vectors", prompt: "" });
  assert.deepEqual(empty, { embedding: [] });
});

nodeTest("contract #128 base64 decodes to the same vector", async () => {
  const body = { model: "vectors", input: "hello" };
  const floats = await node().ask("/v1/embeddings", body);
  const coded = await node().ask("/v1/embeddings", { ...body, encoding_format: "base64" });
  const [row] = coded["data"] as { embedding: string }[];
  const decoded = new Float32Array(Uint8Array.fromBase64(row?.embedding ?? "").buffer);
  const [wanted] = floats["data"] as { embedding: number[] }[];
  assert.deepEqual(decoded, new Float32Array(wanted?.embedding ?? []));
});

nodeTest("a model that completes also embeds, as older clients expect", async () => {
  const answer = await node().ask("/api/embed", { model: "tiny", input: "hello" });
  assert.equal((answer["embeddings"] as number[][]).length, 1);
});
