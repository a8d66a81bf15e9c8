import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { streamedLines } from "../harness/json_lines.ts";
import { startNode } from "../harness/node.ts";
import { killRunners } from "../harness/runners.ts";

/** Each costs the start of a runner. Among the first 20 each prompt loses its runner early and late. */
const KILLS = IS_LONG ? 50 : 20;
const PROMPTS = [
  "Tell me a story about a fox.",
  "Write a poem.",
  "Count from 1 to 10.",
  "What is Raft?",
  "What can you do?",
];

Deno.test({
  name:
    `A stream loses and repeats no byte when its runner is killed at a random token, ${KILLS} times`,
  ignore: Deno.build.os === "windows",
  async fn() {
    await using node = await startNode();
    const ask = (prompt: string) => node.post("/api/generate", { model: "tiny", prompt });
    const undisturbed = new Map<string, string>();
    for (const prompt of PROMPTS) {
      let text = "";
      for await (const line of streamedLines(await ask(prompt))) text += line["response"];
      undisturbed.set(prompt, text);
    }
    const random = new Random(4);
    let killed = 0;
    for (let round = 0; round < KILLS; round++) {
      const prompt = PROMPTS[round % PROMPTS.length] ?? "";
      let killAtLine = 1 + random.below(8);
      let text = "";
      let last: Record<string, unknown> = {};
      for await (const line of streamedLines(await ask(prompt))) {
        text += line["response"];
        last = line;
        if (--killAtLine === 0) killed += await killRunners(node.pid);
      }
      assert.equal(text, undisturbed.get(prompt), `round ${round}`);
      assert.equal(last["done"], true, `round ${round}`);
    }
    assert.ok(killed >= KILLS * 0.9, `only ${killed} runners were killed`);
  },
});
