import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { vulkanTest } from "../harness/software_vulkan.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`parts of models on devices are not tested: ${lacking}`);
/** The model stays where it was made, and so leads there. */
const ENVIRONMENT = { ODIST_REPLICAS: "1", ODIST_EXACT: "off" };
const LAYERS = 6;

vulkanTest(
  "A node with a GPU lends it to a model that several nodes compute, which says the same as on cores",
  async ({ nativeFolder, env }) => {
    if (lacking !== undefined) return;
    await using cluster = await TestCluster.start(1, { environment: ENVIRONMENT });
    const environment = { ...ENVIRONMENT, ...env, ODIST_NATIVE_DIR: nativeFolder };
    const name = await cluster.join({ token: await cluster.createToken(1), environment });
    await cluster.healthy(2);
    const [plain, driving] = [cluster.client("n1"), cluster.client(name)];
    await cluster.until("the device is told", async () => {
      const { members } = await plain.ask("GET", "/api/cluster/status");
      return (members as { devices: unknown[] }[]).some(({ devices }) => devices.length === 1);
    });
    const ask = async (shard: boolean) => {
      const options = { temperature: 0, num_predict: 24, shard };
      const body = { model: "tiny", prompt: "Count", stream: false, options };
      return String((await plain.ask("POST", "/api/generate", body))["response"]);
    };
    const split = await ask(true);
    // The one that leads, and the one that has to be told.
    for (const node of [plain, driving]) {
      const shards = await cluster.until("the split is told", async () => {
        const { models } = await node.ask("GET", "/api/ps");
        const rows = models as { shards?: Record<string, unknown>[] }[];
        return rows.find((row) => row.shards !== undefined)?.shards;
      });
      assert.deepEqual(
        shards.filter(({ layer_count }) => Number(layer_count) > 0)
          .map(({ node, device, layer_count }) => ({ node, device, layer_count })),
        [{ node: name, device: "Vulkan0", layer_count: LAYERS }],
      );
    }
    assert.match(driving.printed, / worker_lent .*device=Vulkan0/);
    await plain.ask("POST", "/api/generate", { model: "tiny", keep_alive: 0, stream: false });
    assert.equal(split, await ask(false));
  },
);
