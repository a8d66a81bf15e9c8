import assert from "node:assert/strict";
import { join } from "node:path";
import { openCellFiles } from "../../src/storage/mod.ts";
import { askTiny, readAnswer, startEngine, TINY_SETTINGS } from "../integration/engine_harness.ts";

const PROMPT = {
  kind: "tokens",
  tokens: Array.from({ length: 100 }, (_, at) => 300 + at),
} as const;
const ASKED = askTiny("", { prompt: PROMPT, predictTokensMax: 16 });

/** By an engine, and a runner, of its own, whose cells lie in `folder`. */
async function answerOnce(
  folder: string,
  changes: Partial<typeof TINY_SETTINGS> = {},
  beforeAsking = () => Promise.resolve(),
) {
  const signal = new AbortController().signal;
  const engine = startEngine({}, {
    cacheMemoryBytes: () => 16 * 1024 ** 2,
    cells: openCellFiles(folder, { cacheDiskBytes: 64 * 1024 ** 2, cacheEncrypt: false }),
  });
  const model = await engine.load({ ...TINY_SETTINGS, ...changes }, { signal });
  await beforeAsking();
  const answer = await readAnswer(model, ASKED);
  await model.unload();
  return answer;
}

async function filesIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const key of Deno.readDir(folder)) {
    for await (const { name } of Deno.readDir(join(folder, key.name))) {
      paths.push(join(folder, key.name, name));
    }
  }
  return paths;
}

Deno.test("a conversation outlives its runner: the next one computes its last token alone, and says the same", async () => {
  const folder = await Deno.makeTempDir();
  const first = await answerOnce(folder);
  assert.equal(first.cachedTokens, 0);
  const again = await answerOnce(folder);
  assert.equal(again.cachedTokens, 99);
  assert.deepEqual(first.prefix, { matchedTokens: 0, source: "none", end: "empty" });
  assert.deepEqual(again.prefix, { matchedTokens: 99, source: "disk", end: "whole" });
  assert.equal(again.text, first.text);
  const [path = ""] = await filesIn(folder);
  if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("cells that changed on disk, or are of another kind, are computed again", async () => {
  const folder = await Deno.makeTempDir();
  const first = await answerOnce(folder);
  const [path = ""] = await filesIn(folder);
  const bytes = await Deno.readFile(path);
  // In the cells, behind what llama.cpp looks at.
  const at = bytes.length - 1_000;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await Deno.writeFile(path, bytes);
  const spoilt = await answerOnce(folder);
  assert.deepEqual([spoilt.cachedTokens, spoilt.text], [0, first.text]);
  assert.deepEqual(spoilt.prefix, { matchedTokens: 99, source: "none", end: "unreadable" });
  assert.equal((await answerOnce(folder, { kvCacheType: "q8_0" })).cachedTokens, 0);
  assert.equal((await answerOnce(folder)).cachedTokens, 99);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("cells that are gone from the disk when they are wanted are computed again", async () => {
  const folder = await Deno.makeTempDir();
  const first = await answerOnce(folder);
  const again = await answerOnce(folder, {}, async () => {
    for (const path of await filesIn(folder)) await Deno.remove(path);
  });
  assert.deepEqual([again.cachedTokens, again.text], [0, first.text]);
  await Deno.remove(folder, { recursive: true });
});
