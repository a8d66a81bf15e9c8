import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import type { ClusterNode } from "../harness/cluster_node.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { type SoftwareVulkan, vulkanTest } from "../harness/software_vulkan.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`parts of models on devices are not tested: ${lacking}`);
/** The model stays where it was made, and so leads there. */
const ENVIRONMENT = { ODIST_REPLICAS: "1", ODIST_EXACT: "off" };
const LAYERS = 6;

/** A node without a device, and one with it, of which both know. */
class Scene implements AsyncDisposable {
  readonly plain: ClusterNode;
  readonly driving: ClusterNode;
  readonly #cluster: TestCluster;

  private constructor(cluster: TestCluster, names: readonly [string, string]) {
    this.#cluster = cluster;
    [this.plain, this.driving] = [cluster.client(names[0]), cluster.client(names[1])];
  }

  static async open({ nativeFolder, env }: SoftwareVulkan): Promise<Scene> {
    const cluster = await TestCluster.start(1, { environment: ENVIRONMENT });
    const environment = { ...ENVIRONMENT, ...env, ODIST_NATIVE_DIR: nativeFolder };
    const name = await cluster.join({ token: await cluster.createToken(1), environment });
    await cluster.healthy(2);
    const scene = new Scene(cluster, ["n1", name]);
    await cluster.until("the device is told", async () => {
      const { members } = await scene.plain.ask("GET", "/api/cluster/status");
      return (members as { devices: unknown[] }[]).some(({ devices }) => devices.length === 1);
    });
    return scene;
  }

  /** What the model says, asked of a node, over both of them or not. */
  async ask(node: ClusterNode, shard: boolean): Promise<string> {
    const options = { temperature: 0, num_predict: 24, shard };
    const body = { model: "tiny", prompt: "Count", stream: false, options };
    return String((await node.ask("POST", "/api/generate", body))["response"]);
  }

  async unload(node: ClusterNode): Promise<void> {
    await node.ask("POST", "/api/generate", { model: "tiny", keep_alive: 0, stream: false });
  }

  /** Parts with layers, as a node shows them. */
  async parts(node: ClusterNode) {
    const shards = await this.#cluster.until("the split is told", async () => {
      const { models } = await node.ask("GET", "/api/ps");
      const rows = models as { shards?: Record<string, unknown>[] }[];
      return rows.find((row) => row.shards !== undefined)?.shards;
    });
    return shards.filter(({ layer_count }) => Number(layer_count) > 0)
      .map(({ node, device, layer_count }) => ({ node, device, layer_count }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }
}

vulkanTest(
  "A node with a GPU lends it to a model that several nodes compute, which says the same as on cores",
  async (vulkan) => {
    if (lacking !== undefined) return;
    await using scene = await Scene.open(vulkan);
    const { plain, driving } = scene;
    const split = await scene.ask(plain, true);
    // The one that leads, and the one that has to be told.
    for (const node of [plain, driving]) {
      assert.deepEqual(await scene.parts(node), [
        { node: driving.name, device: "Vulkan0", layer_count: LAYERS },
      ]);
    }
    assert.match(driving.printed, / worker_lent .*device=Vulkan0/);
    await scene.unload(plain);
    assert.equal(split, await scene.ask(plain, false));
  },
);

vulkanTest(
  "A node that leads a model over several nodes computes its own part on its GPU, and says the same as on cores",
  async (vulkan) => {
    if (lacking !== undefined) return;
    await using scene = await Scene.open(vulkan);
    const { plain, driving } = scene;
    const split = await scene.ask(driving, true);
    for (const node of [driving, plain]) {
      assert.deepEqual(await scene.parts(node), [
        { node: plain.name, device: undefined, layer_count: 1 },
        { node: driving.name, device: "Vulkan0", layer_count: LAYERS - 1 },
      ]);
    }
    assert.match(plain.printed, / worker_lent /);
    await scene.unload(driving);
    assert.equal(split, await scene.ask(plain, false));
  },
);
