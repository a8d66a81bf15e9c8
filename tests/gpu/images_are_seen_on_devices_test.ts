import assert from "node:assert/strict";
import type { LoadSettings } from "../../src/protocol/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import { colourEye, picture } from "../harness/colour_eye.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { type SoftwareVulkan, vulkanTest } from "../harness/software_vulkan.ts";
import { readTinyGguf } from "../harness/test_models.ts";
import { askTiny, loadTiny, readAnswer, TINY_PATH } from "../integration/engine_harness.ts";

const MIB = 2 ** 20;
/** Patches along a side of a picture: the more, the more memory looking at it takes. */
const MANY_PATCHES = 40;

interface Scene {
  /** Loads `tiny`, with what tells colours apart where `patches` says how finely. */
  load(
    budgetBytes: number,
    settings?: Partial<LoadSettings> & { readonly patches?: number },
  ): Promise<LoadedModel & AsyncDisposable>;
}

function imageTest(name: string, body: (scene: Scene) => Promise<void>): void {
  const lacking = lackingOwnNatives();
  if (lacking !== undefined) {
    Deno.test({ name: `${name} (skipped: ${lacking})`, ignore: true, fn() {} });
    return;
  }
  vulkanTest(name, async (vulkan) => {
    const folder = await Deno.makeTempDir({ prefix: "odist-eyes-" });
    try {
      await body({
        load: (budgetBytes, settings) => load(vulkan, { folder, budgetBytes }, settings),
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function load(
  { nativeFolder, env }: SoftwareVulkan,
  by: { readonly folder: string; readonly budgetBytes: number },
  { patches, ...settings }: Partial<LoadSettings> & { readonly patches?: number } = {},
) {
  const projectorPath = `${by.folder}/${patches}.gguf`;
  if (patches !== undefined) {
    await Deno.writeFile(projectorPath, await colourEye(await readTinyGguf(), { patches }));
  }
  return await loadTiny(
    {
      ...{ modelPath: TINY_PATH, gpuLayers: -1 },
      ...(patches === undefined ? {} : { projectorPath }),
      devices: [{ name: "Vulkan0", budgetBytes: by.budgetBytes }],
      ...settings,
    },
    { ...env, ODIST_NATIVE_DIR: nativeFolder },
  );
}

imageTest(
  "A picture is seen on a device, by the library that is seen with on the cores",
  async (scene) => {
    await using model = await scene.load(1024 * MIB, { patches: 1 });
    assert.equal(model.facts.imageFault, "");
    assert.equal(model.facts.memoryBytes, model.facts.deviceMemoryBytes);
    for (const colour of ["red", "blue"] as const) {
      const asked = askTiny("Repeat this word: [img-0]", { images: [picture(colour)] });
      assert.equal((await readAnswer(model, asked)).text.trim(), colour);
    }
  },
);

imageTest("What a projector takes of a device is not planned for layers", async (scene) => {
  const budgetBytes = 18 * MIB;
  await using beside = await scene.load(budgetBytes, { patches: MANY_PATCHES });
  const { imageFault, deviceMemoryBytes, memoryBytes } = beside.facts;
  assert.equal(imageFault, "");
  assert.ok(deviceMemoryBytes > budgetBytes / 2, `${deviceMemoryBytes}`);
  assert.ok(deviceMemoryBytes <= budgetBytes, `${deviceMemoryBytes} of ${budgetBytes}`);
  assert.ok(memoryBytes > deviceMemoryBytes, "the model is there as a whole");
});

imageTest(
  "A projector that would leave a device too little stays in the machine's memory",
  async (scene) => {
    const budgetBytes = 14 * MIB;
    await using blind = await scene.load(budgetBytes);
    await using seeing = await scene.load(budgetBytes, { patches: MANY_PATCHES });
    assert.equal(seeing.facts.imageFault, "");
    assert.equal(seeing.facts.deviceMemoryBytes, blind.facts.deviceMemoryBytes);
    const [before = 0, after = 0] = [blind, seeing].map(({ facts }) => facts.hostMemoryBytes);
    assert.ok(after - before > 4 * MIB, `${before}, then ${after}`);
  },
);
