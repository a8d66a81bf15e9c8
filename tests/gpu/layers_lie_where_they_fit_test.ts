import assert from "node:assert/strict";
import type { LoadSettings } from "../../src/protocol/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import { type SoftwareVulkan, vulkanTest } from "../harness/software_vulkan.ts";
import { askTiny, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const MIB = 2 ** 20;

async function load(
  { nativeFolder, env }: SoftwareVulkan,
  settings: Partial<LoadSettings> = {},
): Promise<LoadedModel & AsyncDisposable> {
  return await loadTiny(
    { gpuLayers: -1, ...settings },
    { ...env, ODIST_NATIVE_DIR: nativeFolder },
  );
}

function onDevice(budgetBytes: number): Pick<LoadSettings, "devices"> {
  return { devices: [{ name: "Vulkan0", budgetBytes }] };
}

async function answersSanely(model: LoadedModel): Promise<void> {
  const { text } = await readAnswer(model, askTiny("Once upon a time", { predictTokensMax: 8 }));
  assert.ok(text.length > 4 && /^[\x20-\x7e\n]*$/.test(text), JSON.stringify(text));
}

vulkanTest(
  "A model is whole on a device that it fits, and as many layers as fit on another",
  async (vulkan) => {
    await using whole = await load(vulkan, onDevice(1024 * MIB));
    await answersSanely(whole);
    const { memoryBytes, deviceMemoryBytes, devices = [], numericClass } = whole.facts;
    assert.equal(memoryBytes, deviceMemoryBytes);
    assert.deepEqual(devices.map(({ name, bytes }) => [name, bytes]), [[
      "Vulkan0",
      deviceMemoryBytes,
    ]]);
    assert.match(numericClass, /\/llvmpipe .*=-1\/kv=f16/);
    await using partly = await load(vulkan, onDevice(8 * MIB));
    await answersSanely(partly);
    const { facts } = partly;
    assert.ok(facts.deviceMemoryBytes > 0 && facts.deviceMemoryBytes <= 8 * MIB);
    assert.equal(facts.memoryBytes, facts.deviceMemoryBytes + (facts.hostMemoryBytes ?? 0));
    await using cores = await load(vulkan, onDevice(4 * MIB));
    assert.equal(cores.facts.deviceMemoryBytes, 0);
  },
);

vulkanTest(
  "A number of layers means that number, with keys and values where they are wished",
  async (vulkan) => {
    const two = { gpuLayers: 2, ...onDevice(1024 * MIB) };
    await using there = await load(vulkan, { ...two, kvCacheType: "q8_0" });
    await answersSanely(there);
    assert.match(there.facts.numericClass, /\/llvmpipe .*=2\/kv=q8_0/);
    await using here = await load(vulkan, { ...two, kvOffload: false });
    await answersSanely(here);
    assert.ok(here.facts.deviceMemoryBytes < there.facts.deviceMemoryBytes);
  },
);

vulkanTest(
  "A device that is not there is named, with those that are, and none is none",
  async (vulkan) => {
    const gone = load(vulkan, { devices: [{ name: "CUDA7", budgetBytes: MIB }] });
    await assert.rejects(gone, /The device CUDA7 is gone: present Vulkan0/);
    for (const cores of [{ devices: [] }, { gpuLayers: 0 }]) {
      await using model = await load(vulkan, cores);
      assert.equal(model.facts.deviceMemoryBytes, 0);
      assert.ok(!model.facts.numericClass.includes("llvmpipe"));
    }
  },
);
