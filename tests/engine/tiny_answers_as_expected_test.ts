import assert from "node:assert/strict";
import { askTiny, loadTiny, readAnswer } from "../integration/engine_harness.ts";

interface Expected {
  readonly prompt: string;
  readonly completion: string;
}

/** Made with a llama.cpp one release newer, whose sums may break a near-tie the other way. */
const DIFFERENT_MAX = 2;

for (const slots of [1, 4]) {
  Deno.test(`tiny gives the expected greedy answers in ${slots} slots`, async () => {
    const path = new URL("../conformance/tiny_expected.jsonl", import.meta.url);
    const expected: Expected[] = (await Deno.readTextFile(path)).trim().split("\n")
      .map((line) => JSON.parse(line));
    await using model = await loadTiny({ slots });
    const answers = await Promise.all(
      expected.map(({ prompt }) =>
        readAnswer(model, askTiny("", { prompt: { kind: "text", text: prompt, addSpecial: true } }))
      ),
    );
    const different = expected.flatMap(({ prompt, completion }, index) => {
      const got = answers[index]?.text;
      return got === completion ? [] : [{ prompt, wanted: completion, got }];
    });
    assert.equal(expected.length, 40);
    assert.ok(different.length <= DIFFERENT_MAX, JSON.stringify(different, null, 2));
  });
}
