import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import type { ClusterNode } from "../harness/cluster_node.ts";
import { vulkanTest } from "../harness/software_vulkan.ts";

const PREDICT = 48;

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
    prompt: "Tell me a story about a fox.",
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

async function drain(asked: ClusterNode, name: string, what: "drain" | "undrain"): Promise<void> {
  await asked.ask("POST", `/api/cluster/members/${name}/${what}`);
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

vulkanTest(
  "A node with a GPU tells of it, computes there, and answers go on between it and one without",
  async ({ nativeFolder, env }) => {
    await using cluster = await TestCluster.start(1);
    const token = await cluster.createToken(1);
    const environment = { ...env, ODIST_NATIVE_DIR: nativeFolder };
    const name = await cluster.join({ token, environment });
    await cluster.healthy(2);
    const [plain, driving] = [cluster.client("n1"), cluster.client(name)];
    await cluster.until(
      "the device is told",
      async () => (await devicesOf(plain, name)).length === 1,
    );
    const [idle] = await devicesOf(plain, name);
    assert.equal(idle?.name, "Vulkan0");
    assert.deepEqual(await devicesOf(plain, "n1"), []);

    // On the GPU, asked at the node without one; then its node dies.
    await drain(plain, "n1", "drain");
    let wasThere: readonly LoadedRow[] = [];
    const first = await answer(plain, async () => {
      wasThere = await loaded(plain);
      const [row] = await loaded(driving);
      assert.ok(row !== undefined && row.size > 0);
      assert.equal(row.size_vram, row.size);
      const [busy] = await devicesOf(driving, name);
      assert.equal(busy?.free_bytes, (idle?.free_bytes ?? 0) - row.size_vram);
      await cluster.kill(name);
    });
    assert.deepEqual(wasThere.map(({ node }) => node), [name]);
    assert.equal(first.tokens, PREDICT);
    assert.ok(first.text.length > 40, first.text);

    // And the other way: on the cores, asked at the node with the GPU.
    await cluster.restart(name);
    await cluster.healthy(2);
    await drain(plain, "n1", "undrain");
    await drain(plain, name, "drain");
    const again = cluster.client(name);
    let wereLoaded: readonly LoadedRow[] = [];
    const second = await answer(again, async () => {
      wereLoaded = await loaded(again);
      await cluster.kill("n1");
    });
    assert.deepEqual(wereLoaded.map(({ node }) => node), ["n1"]);
    // What was left of the answer was computed here.
    const { models } = await again.ask("GET", "/api/ps");
    const [row] = models as readonly { readonly size: number; readonly size_vram: number }[];
    assert.ok(row !== undefined && row.size_vram > 0);
    assert.equal(second.tokens, PREDICT);
    assert.ok(second.text.length > 40, second.text);
  },
);
