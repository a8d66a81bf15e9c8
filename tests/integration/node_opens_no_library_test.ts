import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { startNode } from "../harness/node.ts";

const PROBE = fileURLToPath(new URL("../harness/rights_probe.ts", import.meta.url));

Deno.test({
  name: "a node that serves can open no library, and still answers",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using node = await startNode({ runtimeFlags: ["--preload", PROBE] });
    const answer = await node.ask("/api/generate", { model: "tiny", prompt: "Hi", stream: false });
    assert.equal(answer.done, true);
    Deno.kill(node.pid, "SIGUSR2");
    const rights = await node.printedLine(/^rights (\{.*\})$/m);
    assert.deepEqual(JSON.parse(rights), {
      ffi: "prompt",
      read: "granted",
      write: "prompt",
      net: "granted",
      run: "granted",
    });
  },
});
