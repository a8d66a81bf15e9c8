import assert from "node:assert/strict";
import type { LoadedModel } from "../../src/ports/mod.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { vulkanTest } from "../harness/software_vulkan.ts";
import { askTiny, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`a leader's own device is not tested: ${lacking}`);
const MIB = 2 ** 20;
const LAYERS = 6;

async function said(model: LoadedModel): Promise<string> {
  const { text } = await readAnswer(model, askTiny("Once upon a time", { predictTokensMax: 12 }));
  assert.ok(text.length > 4, JSON.stringify(text));
  return text;
}

vulkanTest(
  "Two devices get as many layers as each was given, and say the same as the cores",
  async ({ nativeFolder, env }) => {
    // The same one twice, as if there were two.
    const environment = {
      ...env,
      GGML_VK_VISIBLE_DEVICES: "0,0",
      ODIST_NATIVE_DIR: nativeFolder,
    };
    await using shared = await loadTiny({
      gpuLayers: -1,
      devices: [
        { name: "Vulkan0", budgetBytes: 256 * MIB, layers: 1 },
        { name: "Vulkan1", budgetBytes: 256 * MIB, layers: 4 },
      ],
    }, environment);
    await using cores = await loadTiny();
    assert.equal(await said(shared), await said(cores));
    // Two of its six layers stay with the cores, and the output layer lies on the last device.
    assert.match(shared.facts.numericClass, /=5\/kv=/);
    const [first, second] = shared.facts.devices ?? [];
    assert.deepEqual([first?.name, second?.name], ["Vulkan0", "Vulkan1"]);
    // By their room, which is alike, the first one would get more of them.
    const [less, more] = [first?.bytes ?? 0, second?.bytes ?? 0];
    assert.ok(less > 0 && more > less, `${less} ${more}`);
  },
);

/** Resolves once somebody listens there. */
async function listening(port: number): Promise<void> {
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

vulkanTest(
  "A leader computes the last layers of a model over several nodes on its own device",
  async ({ nativeFolder, env }) => {
    if (lacking !== undefined) return;
    const environment = { ...env, ODIST_NATIVE_DIR: nativeFolder };
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    await using _worker = await loadTiny({ modelPath: "", worker: { port, memoryBytes: MIB } });
    await listening(port);
    const ownDevice = { name: "Vulkan0", layers: 3, bytes: 20 * MIB };
    const shards = { ports: [port], workerLayers: [2], ownLayers: LAYERS - 2, ownBytes: MIB };
    await using leader = await loadTiny({ shards: { ...shards, ownDevice } }, environment);
    await using cores = await loadTiny();
    assert.equal(await said(leader), await said(cores));
    const { devices, deviceMemoryBytes } = leader.facts;
    assert.deepEqual(devices?.map(({ name, bytes }) => [name, bytes]), [["Vulkan0", 20 * MIB]]);
    assert.equal(deviceMemoryBytes, 20 * MIB);
  },
);
