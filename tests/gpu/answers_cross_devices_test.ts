import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import type { ClusterNode } from "../harness/cluster_node.ts";
import { type SoftwareVulkan, vulkanTest } from "../harness/software_vulkan.ts";

const PREDICT = 120;

interface DeviceRow {
  readonly name: string;
  readonly total_bytes: number;
  readonly free_bytes: number;
}

async function devicesOf(asked: ClusterNode, name: string): Promise<readonly DeviceRow[]> {
  const { members } = await asked.ask("GET", "/api/cluster/status");
  const rows = members as readonly { readonly name: string; readonly devices: DeviceRow[] }[];
  return rows.find((row) => row.name === name)?.devices ?? [];
}

/** A greedy answer to its end; `onFirst` is done after its first token. */
async function answer(node: ClusterNode, onFirst: () => Promise<void>) {
  const stream = await node.ollama.generate({
    model: "tiny",
    prompt: "Count",
    // So that it can't end before its node does.
    format: { type: "array", items: { type: "integer" }, minItems: 1000 },
    stream: true,
    options: { temperature: 0, num_predict: PREDICT },
  });
  let text = "";
  let count = 0;
  for await (const { response, done, done_reason, eval_count } of stream) {
    text += response;
    if (response !== "" && ++count === 1) await onFirst();
    if (done) return { text, reason: done_reason, tokens: eval_count };
  }
  throw new Error("The answer has no end");
}

async function drain(asked: ClusterNode, name: string): Promise<void> {
  await asked.ask("POST", `/api/cluster/members/${name}/drain`);
}

interface LoadedRow {
  /** Absent where nothing is loaded elsewhere. */
  readonly node?: string;
  readonly size: number;
  readonly size_vram: number;
}

/** What is loaded anywhere, as a node knows. */
async function loaded(asked: ClusterNode): Promise<readonly LoadedRow[]> {
  const { models } = await asked.ask("GET", "/api/ps");
  return models as readonly LoadedRow[];
}

/** A node without a GPU, which founded the cluster, and one with. */
async function twoNodes({ nativeFolder, env }: SoftwareVulkan) {
  const cluster = await TestCluster.start(1);
  const environment = { ...env, ODIST_NATIVE_DIR: nativeFolder };
  const name = await cluster.join({ token: await cluster.createToken(1), environment });
  await cluster.healthy(2);
  return {
    ...{ cluster, name, plain: cluster.client("n1"), driving: cluster.client(name) },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

vulkanTest(
  "A node with a GPU tells of it and computes there, and its answers go on without",
  async (vulkan) => {
    await using scene = await twoNodes(vulkan);
    const { cluster, name, plain, driving } = scene;
    await cluster.until(
      "the device is told",
      async () => (await devicesOf(plain, name)).length === 1,
    );
    const [idle] = await devicesOf(plain, name);
    assert.equal(idle?.name, "Vulkan0");
    assert.deepEqual(await devicesOf(plain, "n1"), []);
    await drain(plain, "n1");
    let wasThere: readonly LoadedRow[] = [];
    const { text, tokens } = await answer(plain, async () => {
      wasThere = await loaded(plain);
      const [row] = await loaded(driving);
      assert.ok(row !== undefined && row.size > 0);
      assert.equal(row.size_vram, row.size);
      const [busy] = await devicesOf(driving, name);
      assert.equal(busy?.free_bytes, (idle?.free_bytes ?? 0) - row.size_vram);
      await cluster.kill(name);
    });
    assert.deepEqual(
      wasThere.map(({ node }) => node),
      [name],
    );
    assert.equal(tokens, PREDICT);
    assert.match(text, /^\s*\[/);
  },
);

vulkanTest(
  "An answer goes on on a GPU when the node that computed it on its cores dies",
  async (vulkan) => {
    await using scene = await twoNodes(vulkan);
    const { cluster, name, plain, driving } = scene;
    await drain(plain, name);
    const { text, tokens } = await answer(driving, () => cluster.kill("n1"));
    assert.equal(tokens, PREDICT);
    assert.match(text, /^\s*\[/);
    const row = (await loaded(driving)).find(({ node = name }) => node === name);
    assert.ok(row !== undefined && row.size_vram > 0);
  },
);
