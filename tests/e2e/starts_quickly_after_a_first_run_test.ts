import assert from "node:assert/strict";
import { Machine } from "../harness/built_odist.ts";

/** The promise is half a second on an idle machine; a busy one gets room, because this is no bench. */
const READY_MS_MAX = 5_000;

const ignore = Deno.build.os === "windows";

Deno.test({ name: "A node is ready soon after a first run", ignore }, async () => {
  await using machine = await Machine.make();
  {
    await using first = await machine.serve();
    first.kill("SIGTERM");
    await first.ended;
  }
  await using node = await machine.serve();
  console.log(`ready after ${node.readyMs.toFixed(0)} ms`);
  assert.ok(node.readyMs < READY_MS_MAX);
});
