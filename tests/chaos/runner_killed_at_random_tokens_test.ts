import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { generateRequest, killRunner, Machine, readAnswer } from "../harness/built_odist.ts";

const ignore = Deno.build.os !== "linux";
const DEATHS = 50;
/** Of the text, per cent: near the end the runner may already be idle. By text, as a slow reader's lines are few and long. */
const FATAL_PERCENT = 70;
const REQUEST = generateRequest("Tell me a story about a fox named Mia", 120);

Deno.test(
  { name: `${DEATHS} runners killed at random tokens lose and repeat nothing`, ignore },
  async () => {
    const seed = Number(Deno.env.get("ODIST_TEST_SEED") ?? 4);
    const random = new Random(seed);
    await using machine = await Machine.make();
    await using node = await machine.serve();
    const undisturbed = await readAnswer(await node.post("/api/generate", REQUEST));
    const killedIds = new Set<number>();
    for (let death = 1; death <= DEATHS; death++) {
      const fatalChars = random.below(Math.floor(undisturbed.length * FATAL_PERCENT / 100));
      let killed = 0;
      const text = await readAnswer(await node.post("/api/generate", REQUEST), (_line, soFar) => {
        if (killed === 0 && soFar.length >= fatalChars) killed = killRunner(node);
      });
      assert.equal(
        text,
        undisturbed,
        `death ${death} after ${fatalChars} characters, ODIST_TEST_SEED=${seed}`,
      );
      killedIds.add(killed);
    }
    assert.equal(killedIds.size, DEATHS, "each death is one of another runner");
    assert.ok(!killedIds.has(0));
  },
);
