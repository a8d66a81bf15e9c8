/**
 * How long someone waits who has the file and nothing else.
 *
 * @module
 */
import assert from "node:assert/strict";
import { findFreePort, Machine } from "../harness/built_odist.ts";
import { recordFigure } from "../harness/figures.ts";

const FIRST_TOKEN_MS_MAX = 5_000;
const JOINED_MS_MAX = 10_000;
const ignore = Deno.build.os === "windows";

const FIRST = "Who has only the file reads the first token less than 5 s after starting it";
Deno.test({ name: FIRST, ignore }, async () => {
  await using machine = await Machine.make("fresh");
  const startMs = performance.now();
  await using node = await machine.serve();
  const ready = performance.now() - startMs;
  // As typed in a second window: the second start finds the file unpacked.
  const run = machine.start(["run", "tiny", "Tell me a story."], { ODIST_HOST: node.host });
  const said = new Response(run.stderr).text();
  const reader = run.stdout.getReader();
  const first = await reader.read();
  const ms = performance.now() - startMs;
  await reader.cancel();
  await run.status;
  assert.ok((first.value?.length ?? 0) > 0, `no token came, but: ${await said}`);
  const spread = `${Math.round(ready)} ms until it served`;
  recordFigure(FIRST, `first token after ${Math.round(ms)} ms, of those ${spread}`);
  assert.ok(ms < FIRST_TOKEN_MS_MAX, `${ms} ms`);
});

const JOIN = "A second machine is a member less than 10 s after the printed line was pasted there";
Deno.test({ name: JOIN, ignore }, async () => {
  await using first = await Machine.make("fresh");
  await using node = await first.serve({
    ODIST_LISTEN: `127.0.0.1:${findFreePort()}`,
    ODIST_NAME: "first",
  });
  const made = await first.run(["token", "create"], { ODIST_HOST: node.host });
  assert.equal(made.code, 0, made.stderr);
  const line = made.stdout.trim();
  assert.match(line, /^ODIST_TOKEN=\S+ odist serve --join \S+$/);
  await using second = await Machine.make("fresh");
  const startMs = performance.now();
  const pasted = await second.paste(line, {
    ODIST_HOST: `127.0.0.1:${findFreePort()}`,
    ODIST_NAME: "second",
  });
  try {
    const isMember = async () => {
      const status = await (await fetch(`${node.origin}/api/cluster/status`)).json();
      return status.members.length === 2 &&
        status.members.every(({ health }: { health: string }) => health === "alive");
    };
    while (!await isMember()) {
      assert.ok(performance.now() - startMs < 6 * JOINED_MS_MAX, "it does not become a member");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const ms = performance.now() - startMs;
    recordFigure(JOIN, `a member after ${Math.round(ms)} ms, its first unpacking included`);
    assert.ok(ms < JOINED_MS_MAX, `${ms} ms`);
  } finally {
    pasted.kill("SIGTERM");
    await pasted.status;
  }
});
