import assert from "node:assert/strict";
import { basename } from "node:path";
import {
  askTiny,
  loadTiny,
  readAnswer,
  startEngine,
  TINY_SETTINGS,
} from "../integration/engine_harness.ts";

Deno.test("kill -9 of the runner fails every call with runner_lost, after the tokens that came", async () => {
  const model = await loadTiny({ slots: 2 });
  const events = model.generate(askTiny("Tell me a long story."), new AbortController().signal);
  const waiting = readAnswer(model, askTiny("Tell me a long story about a fox."));
  const seen: string[] = [];
  await assert.rejects(async () => {
    for await (const event of events) {
      seen.push(event.kind);
      if (event.kind === "tokens") Deno.kill(model.processId, "SIGKILL");
    }
  }, { code: "runner_lost" });
  await assert.rejects(waiting, { code: "runner_lost" });
  await assert.rejects(model.tokenize("x", { addSpecial: false }), { code: "runner_lost" });
  const end = await model.exited;
  assert.equal(end.expected, false);
  assert.match(end.reason, /SIGKILL/);
  assert.equal(seen[0], "started");
});

Deno.test("unload ends the process, as expected, and fails what is under way", async () => {
  const model = await loadTiny();
  const running = readAnswer(model, askTiny("Tell me a long story."));
  const lost = assert.rejects(running, { code: "runner_lost" });
  await model.unload();
  await lost;
  assert.deepEqual(await model.exited, { expected: true, reason: "stopped" });
  assert.throws(() => Deno.kill(model.processId, "SIGKILL"));
});

Deno.test("a file that is no model is refused with llama.cpp's reason", async () => {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    await Deno.writeTextFile(path, "this is not a model");
    const signal = new AbortController().signal;
    const loading = startEngine().load({ ...TINY_SETTINGS, modelPath: path }, { signal });
    await assert.rejects(loading, { code: "load_failed", message: /magic/ });
  } finally {
    await Deno.remove(path);
  }
});

for (const bytesKept of [100, 5_000, 200_000, 4_000_000]) {
  Deno.test(`a model cut off at ${bytesKept} bytes is refused with its name and a reason`, async () => {
    const path = await Deno.makeTempFile({ suffix: ".gguf" });
    try {
      const bytes = await Deno.readFile(TINY_SETTINGS.modelPath);
      await Deno.writeFile(path, bytes.subarray(0, bytesKept));
      const signal = new AbortController().signal;
      const loading = startEngine().load({ ...TINY_SETTINGS, modelPath: path }, { signal });
      await assert.rejects(loading, (error) => {
        assert.ok(error instanceof Error && "code" in error);
        assert.equal(error.code, "load_failed");
        // Where the folder is, is told to nobody: whoever asks may be on another machine.
        assert.ok(error.message.includes(basename(path)), error.message);
        assert.ok(!error.message.includes(path), error.message);
        assert.match(error.message, /fail|error|corrupt/);
        return true;
      });
    } finally {
      await Deno.remove(path);
    }
  });
}

Deno.test("an aborted load leaves no process and throws the signal's reason", async () => {
  const abort = new AbortController();
  const reason = new Error("changed my mind");
  const loading = startEngine().load(TINY_SETTINGS, {
    signal: abort.signal,
    onProgress: () => abort.abort(reason),
  });
  await assert.rejects(loading, (error) => error === reason);
});
