import assert from "node:assert/strict";
import { generateRequest, Machine, readAnswer } from "../harness/built_odist.ts";

const ignore = Deno.build.os === "windows";
const REQUEST = generateRequest("Tell me a story about a fox named Mia", 200);

Deno.test(
  { name: "SIGTERM lets a running answer finish, then the node exits with 0", ignore },
  async () => {
    await using machine = await Machine.make();
    await using node = await machine.serve();
    const undisturbed = await readAnswer(await node.post("/api/generate", REQUEST));

    const text = await readAnswer(await node.post("/api/generate", REQUEST), (lineNumber) => {
      if (lineNumber === 1) node.kill("SIGTERM");
    });

    assert.equal(text, undisturbed);
    const { code, stderr } = await node.ended;
    assert.equal(code, 0, stderr);
    await assert.rejects(fetch(`${node.origin}/api/version`));
  },
);
