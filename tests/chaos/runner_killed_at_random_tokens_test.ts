import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import {
  findRunners,
  generateRequest,
  killRunner,
  Machine,
  readAnswer,
} from "../harness/built_odist.ts";

const ignore = Deno.build.os !== "linux";
const DEATHS = 50;
/** The answer has some ninety lines; near its end the runner may already be idle. */
const FATAL_LINES = 70;
const REQUEST = generateRequest("Tell me a story about a fox named Mia", 120);

Deno.test(
  { name: `${DEATHS} runners killed at random tokens lose and repeat nothing`, ignore },
  async () => {
    const seed = Number(Deno.env.get("ODIST_TEST_SEED") ?? 4);
    const random = new Random(seed);
    await using machine = await Machine.make();
    await using node = await machine.serve();
    const undisturbed = await readAnswer(await node.post("/api/generate", REQUEST));
    for (let death = 1; death <= DEATHS; death++) {
      const fatalLine = random.between(1, FATAL_LINES);
      let killed = 0;
      const text = await readAnswer(await node.post("/api/generate", REQUEST), (lineNumber) => {
        if (lineNumber === fatalLine) killed = killRunner(node);
      });
      assert.equal(
        text,
        undisturbed,
        `death ${death} at line ${fatalLine}, ODIST_TEST_SEED=${seed}`,
      );
      assert.ok(killed > 0 && !findRunners(node.pid).includes(killed), `${killed} lives on`);
    }
  },
);
