import assert from "node:assert/strict";
import { realModel } from "../harness/real_models.ts";
import { askTiny, chatPrompt, loadTiny, readAnswer } from "./engine_harness.ts";

const { path: modelPath, missing } = await realModel("smollm2");

Deno.test({
  name:
    `two branches of one conversation that come at once compute their trunk once, and say what they say alone${missing}`,
  ignore: missing !== "",
  async fn() {
    const trunk = chatPrompt("The fox and the bear walk home, and count stones. ".repeat(12)) +
      "They count twelve.<|im_end|>\n";
    const branch = (message: string) =>
      askTiny("", {
        prompt: { kind: "text", text: trunk + chatPrompt(message), addSpecial: true },
        predictTokensMax: 8,
      });
    const asked = [branch("Who is the fox?"), branch("Where do they live now?")];
    const how = { modelPath, contextTokens: 1024, slots: 2, batchTokens: 32 };
    const alone: string[] = [];
    for (const request of asked) {
      await using model = await loadTiny(how);
      alone.push((await readAnswer(model, request)).text);
    }
    await using model = await loadTiny(how);
    const answers = await Promise.all(asked.map((request) => readAnswer(model, request)));
    const computed = answers.map((one) => one.promptTokens.length - one.cachedTokens);
    const trunkTokens = (await model.tokenize(trunk, { addSpecial: true })).length;
    assert.ok(Math.max(...computed) > trunkTokens, `${computed}`);
    assert.ok(Math.min(...computed) < 30, `${computed} computed, ${trunkTokens} of the trunk`);
    assert.deepEqual(answers.map(({ text }) => text), alone);
  },
});
