import assert from "node:assert/strict";
import { generateRequest, killRunner, Machine, readAnswer } from "../harness/built_odist.ts";

const ignore = Deno.build.os !== "linux";
const REQUEST = generateRequest("Tell me a story about a fox named Mia", 120);

Deno.test(
  { name: "A stream goes on byte for byte when its runner is killed", ignore },
  async () => {
    await using machine = await Machine.make();
    await using node = await machine.serve();
    const undisturbed = await readAnswer(await node.post("/api/generate", REQUEST));
    const killedIds = new Set<number>();
    for (const fatalLine of [1, 5, 12]) {
      let killed = 0;
      const text = await readAnswer(await node.post("/api/generate", REQUEST), (lineNumber) => {
        if (lineNumber === fatalLine) killed = killRunner(node);
      });
      assert.equal(text, undisturbed);
      killedIds.add(killed);
    }
    assert.equal(killedIds.size, 3, "each death is one of another runner");
    assert.ok(!killedIds.has(0));
  },
);
