import assert from "node:assert/strict";
import { askTiny, loadTiny, RUNNER_COMMAND, TINY_PATH, TINY_SETTINGS } from "./engine_harness.ts";
import { encodeFrame, FrameReader } from "../../src/inference/frames.ts";
import { RUNNER_PROTOCOL_VERSION, type RunnerReply } from "../../src/protocol/mod.ts";

/** A runner without a node: only its pipes. */
function spawnRunner() {
  const [program = "", ...args] = RUNNER_COMMAND;
  const child = new Deno.Command(program, {
    args: [...args, TINY_PATH],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = child.stdin.getWriter();
  return { child, input, send: (value: unknown) => input.write(encodeFrame(value)) };
}

async function* replies(child: Deno.ChildProcess): AsyncGenerator<RunnerReply> {
  const reader = new FrameReader();
  for await (const chunk of child.stdout) {
    for (const value of reader.push(chunk)) yield value as RunnerReply;
  }
}

Deno.test("a runner ends when its node is gone, in the middle of an answer", async () => {
  const { child, input, send } = spawnRunner();
  await send({ kind: "load", version: RUNNER_PROTOCOL_VERSION, settings: TINY_SETTINGS });
  const request = askTiny("Tell me a long story.", { grammar: "root ::= [a-z] root\n" });
  let tokens = 0;
  for await (const reply of replies(child)) {
    if (reply.kind === "loaded") await send({ kind: "generate", id: 1, request });
    if (reply.kind === "events" && ++tokens === 5) await input.close();
  }
  // It ends itself the hard way: exit handlers must not run beside a batch.
  const { signal } = await child.status;
  assert.equal(signal, "SIGKILL");
});

Deno.test("a runner of another protocol version refuses to load", async () => {
  const { child, input, send } = spawnRunner();
  await send({ kind: "load", version: RUNNER_PROTOCOL_VERSION + 1, settings: TINY_SETTINGS });
  assert.deepEqual(await Array.fromAsync(replies(child)), []);
  assert.equal((await child.status).code, 1);
  await input.abort().catch(() => {});
});

Deno.test({
  name: "a runner leaves SIGINT and SIGTERM to its node, which drains first",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using model = await loadTiny();
    const signal = new AbortController().signal;
    let reason = "";
    for await (const event of model.generate(askTiny("Tell me a long story."), signal)) {
      if (event.kind === "started") {
        Deno.kill(model.processId, "SIGINT");
        Deno.kill(model.processId, "SIGTERM");
      }
      if (event.kind === "finished") reason = event.reason;
    }
    assert.equal(reason, "end");
  },
});
