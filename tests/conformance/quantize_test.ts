// Contract 1.11, weights in another precision, by a real llama.cpp.
import assert from "node:assert/strict";
import { toFloats } from "../harness/gguf_float.ts";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { readTinyGguf, uploadBlob } from "../harness/test_models.ts";

const node = nodeForFile();

async function answerOf(model: string): Promise<unknown> {
  const answer = await node().ask("/api/generate", {
    model,
    prompt: "Hello!",
    options: { temperature: 0 },
    stream: false,
  });
  return answer["response"];
}

for (const [wish, level] of [["q8_0", "Q8_0"], ["Q4_K", "Q4_K_M"], ["f16", "F16"]] as const) {
  nodeTest(`create quantises floats to ${level}, and the model answers`, async () => {
    const digest = await uploadBlob(node(), await toFloats(await readTinyGguf()));
    const model = `tiny-${level.toLowerCase()}`;
    const lines = await node().askLines("/api/create", {
      model,
      files: { "tiny-f32.gguf": digest },
      quantize: wish,
    });
    assert.equal(lines.at(-1)?.["status"], "success", JSON.stringify(lines.at(-1)));
    const work = lines.filter((line) => line["status"] === `quantizing F32 model to ${level}`);
    assert.equal(work.at(-1)?.["digest"], "0".repeat(19));
    assert.equal(work.at(-1)?.["completed"], work.at(-1)?.["total"]);
    const { details } = await node().ask("/api/show", { model });
    assert.equal((details as Record<string, unknown>)["quantization_level"], level);
    const answer = await answerOf(model);
    // Four bits are too few for a model this small to say the same.
    if (level === "Q4_K_M") assert.ok(typeof answer === "string" && answer.length > 0);
    else assert.equal(answer, await answerOf("tiny"));
  });
}

nodeTest("create refuses to quantise what is quantised", async () => {
  const response = await node().post("/api/create", {
    model: "q",
    from: "tiny",
    quantize: "q4_K_M",
    stream: false,
  });
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), {
    error: "quantization is only supported for F16, BF16 and F32 models",
  });
});
