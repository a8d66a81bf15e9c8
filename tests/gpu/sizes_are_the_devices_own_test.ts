import assert from "node:assert/strict";
import { encodeFrame, FrameReader } from "../../src/inference/frames.ts";
import {
  type LoadedFacts,
  type LoadSettings,
  RUNNER_PROTOCOL_VERSION,
  type RunnerReply,
} from "../../src/protocol/mod.ts";
import { RUNNER_COMMAND, TINY_PATH, TINY_SETTINGS } from "../integration/engine_harness.ts";
import { type SoftwareVulkan, vulkanTest } from "../harness/software_vulkan.ts";

/** What llama.cpp says when it has allocated memory of the device. */
const ALLOCATED = /Vulkan0 (model|KV|compute) buffer size =\s+([0-9.]+) MiB/g;
const MIB = 2 ** 20;

/** Loads `tiny` in a runner; what it told, and what it wrote meanwhile. */
async function load(
  { nativeFolder, env }: SoftwareVulkan,
  changes: Partial<LoadSettings>,
): Promise<{ readonly facts: LoadedFacts; readonly written: string }> {
  const [program = "", ...args] = RUNNER_COMMAND;
  const child = new Deno.Command(program, {
    args: [...args, TINY_PATH],
    env: { ...env, ODIST_NATIVE_DIR: nativeFolder },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const written = new Response(child.stderr).text();
  const input = child.stdin.getWriter();
  const settings = { ...TINY_SETTINGS, ...changes };
  await input.write(encodeFrame({ kind: "load", version: RUNNER_PROTOCOL_VERSION, settings }));
  const reader = new FrameReader();
  let facts: LoadedFacts | undefined;
  for await (const chunk of child.stdout) {
    const replies = reader.push(chunk) as readonly RunnerReply[];
    const end = replies.find(({ kind }) => kind === "loaded" || kind === "load_failed");
    if (end === undefined) continue;
    assert.ok(end.kind === "loaded", JSON.stringify(end));
    facts = end.facts;
    break;
  }
  // A runner without a node ends.
  await input.close();
  await child.status;
  assert.ok(facts !== undefined);
  return { facts, written: await written };
}

vulkanTest(
  "What a model takes of a device is told within a tenth of what was allocated there",
  async (vulkan) => {
    for (const gpuLayers of [2, 99]) {
      const { facts, written } = await load(vulkan, { gpuLayers, contextTokens: 2048 });
      const allocated = new Map<string, number>();
      // The first of each kind: nothing is planned before it where the number of layers is given.
      for (const [, kind = "", mib] of written.matchAll(ALLOCATED)) {
        if (!allocated.has(kind)) allocated.set(kind, Number(mib) * MIB);
      }
      assert.deepEqual([...allocated.keys()].sort(), ["KV", "compute", "model"]);
      const bytes = [...allocated.values()].reduce((sum, size) => sum + size);
      const told = facts.deviceMemoryBytes;
      assert.ok(Math.abs(told - bytes) < bytes / 10, `${told} told, ${bytes} allocated`);
    }
  },
);
