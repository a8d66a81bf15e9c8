import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import { vulkanTest } from "../harness/software_vulkan.ts";

vulkanTest(
  "A GPU that vanishes costs a reload on the cores, and nobody an answer",
  async ({ nativeFolder, env }) => {
    const folder = await Deno.makeTempDir();
    try {
      // As a driver that is unloaded: the next process finds no device.
      const driver = `${folder}/driver.json`;
      await Deno.copyFile(env.VK_ICD_FILENAMES ?? "", driver);
      const environment = {
        ...env,
        VK_ICD_FILENAMES: driver,
        ODIST_NATIVE_DIR: nativeFolder,
        // Runners read there.
        LD_LIBRARY_PATH: folder,
      };
      await using cluster = await TestCluster.start(1, { environment });
      const node = cluster.client("n1");
      const devices = async () => {
        const { members } = await node.ask("GET", "/api/cluster/status");
        return (members as readonly { readonly devices: readonly { readonly name: string }[] }[])
          .flatMap((member) => member.devices.map(({ name }) => name));
      };
      await cluster.until("the device is told", async () => (await devices()).length === 1);
      await Deno.remove(driver);
      const { response = "" } = await node.ollama.generate({
        model: "tiny",
        prompt: "Hello",
        options: { temperature: 0, num_predict: 8 },
      });
      assert.ok(response.length > 4, response);
      const { models } = await node.ask("GET", "/api/ps");
      const [row] = models as readonly { readonly size: number; readonly size_vram: number }[];
      assert.equal(row?.size_vram, 0);
      await cluster.until(
        "nothing is told of it any more",
        async () => (await devices()).length === 0,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
