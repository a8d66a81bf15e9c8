import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SERVING_FLAGS } from "../../src/confinement/mod.ts";
import { startNode, type TestNode } from "../harness/node.ts";

const PROBE = fileURLToPath(new URL("../harness/write_probe.ts", import.meta.url));
/** What Deno's words and this test's are from a node that tried. */
type Outcome = Readonly<Record<string, string>>;

const onWindows = { ignore: Deno.build.os === "windows" };

/** What became of writing a file into each folder, by the very process that serves. */
async function writesOf(node: TestNode): Promise<Outcome> {
  Deno.kill(node.pid, "SIGUSR2");
  return JSON.parse(await node.printedLine(/^writes (\{.*\})$/m));
}

Deno.test("a node's process can write to its own folders and nowhere else", onWindows, async () => {
  const elsewhere = await Deno.makeTempDir({ prefix: "odist-elsewhere-" });
  try {
    await using node = await startNode({
      runtimeFlags: ["--preload", PROBE],
      environment: {
        TRIED_FOLDERS: JSON.stringify([elsewhere, "/tmp", "{home}", "{home}/.odist"]),
      },
    });
    const answer = await node.ask("/api/generate", { model: "tiny", prompt: "Hi", stream: false });
    assert.equal(answer.done, true);
    assert.deepEqual(await writesOf(node), {
      [elsewhere]: "NotCapable",
      "/tmp": "NotCapable",
      "{home}": "NotCapable",
      "{home}/.odist": "written",
    });
    assert.deepEqual([...Deno.readDirSync(elsewhere)], []);
  } finally {
    await Deno.remove(elsewhere, { recursive: true });
  }
});

Deno.test("a node started with all rights starts again with a list of its own folders", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const models = await Deno.makeTempDir({ prefix: "odist-models-" });
  try {
    await using node = await startNode({ hasAllRights: true, args: ["--models", models] });
    await node.ask("/api/generate", { model: "tiny", prompt: "Hi", stream: false });
    const words = Deno.readTextFileSync(`/proc/${node.pid}/cmdline`).split("\0");
    const lists = words.filter((word) => word.startsWith("--allow-write") || word === "-A");
    assert.deepEqual(lists, [`--allow-write=${join(node.homeFolder, ".odist")},${models}`]);
    const missing = SERVING_FLAGS.filter((flag) => !words.includes(flag));
    assert.deepEqual(missing, [], "what a node is started with by its launcher, too");
    assert.ok([...Deno.readDirSync(join(models, "blobs"))].length > 0);
  } finally {
    await Deno.remove(models, { recursive: true });
  }
});
