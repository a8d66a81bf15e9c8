import assert from "node:assert/strict";
import { startNode } from "../harness/node.ts";
import { runnersOf } from "../harness/runners.ts";

Deno.test({
  name: "An answer whose runner hangs goes on in another",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using node = await startNode();
    const body = { model: "tiny", prompt: "Tell me a story about a fox.", stream: false };
    const undisturbed = await node.ask("/api/generate", body);
    const [runner] = await runnersOf(node.pid);
    assert.ok(runner !== undefined);
    Deno.kill(runner, "SIGSTOP");
    const answer = await node.ask("/api/generate", body);
    assert.equal(answer["response"], undisturbed["response"]);
    assert.notDeepEqual(await runnersOf(node.pid), [runner]);
  },
});
