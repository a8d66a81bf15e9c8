import assert from "node:assert/strict";
import { startNode } from "../harness/node.ts";

const REQUESTS = 100;
/** Numeric differences between batch shapes may turn a near-tie; mixing answers up would turn nearly all. */
const EQUAL_MIN = 95;

Deno.test("100 concurrent generates give 100 complete answers, each its own", async () => {
  await using node = await startNode({ environment: { OLLAMA_NUM_PARALLEL: "8" } });
  const prompts = Array.from(
    { length: REQUESTS },
    (_, index) =>
      `What is ${index} + ${(index * 7) % 10}? Then tell me about ${
        ["Raft", "gossip", "foxes", "rain"][index % 4]
      }.`,
  );
  const ask = async (prompt: string) => {
    const options = { num_predict: 24 };
    const lines = await node.askLines("/api/generate", { model: "tiny", prompt, options });
    assert.equal(lines.at(-1)?.["done"], true);
    return lines.map((line) => line["response"]).join("");
  };
  const startedMs = performance.now();
  const together = await Promise.all(prompts.map(ask));
  const seconds = (performance.now() - startedMs) / 1000;
  let equal = 0;
  for (const [index, prompt] of prompts.entries()) {
    if (await ask(prompt) === together[index]) equal++;
  }
  assert.ok(equal >= EQUAL_MIN, `${equal} of ${REQUESTS} answers equal their solo run`);
  assert.ok(REQUESTS / seconds > 10, `${(REQUESTS / seconds).toFixed(1)} requests a second`);
});
