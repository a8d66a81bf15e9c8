import assert from "node:assert/strict";
import { clusterTest } from "../harness/cluster.ts";
import type { ClusterNode } from "../harness/cluster_node.ts";
import { ggufFile } from "../harness/gguf_file.ts";
import { digestOf } from "../harness/test_models.ts";

const MIB = 1024 * 1024;
/** F32 values of the one tensor. */
const VALUES = 12 * MIB;
const MODEL = bigModel();

function bigModel(): Uint8Array<ArrayBuffer> {
  const head = ggufFile({
    metadata: { "general.architecture": "llama", "llama.context_length": 64 },
    tensors: [{ name: "t", shape: [VALUES], type: 0, tensorBytes: 0 }],
  });
  const bytes = new Uint8Array(head.length + VALUES * 4);
  bytes.set(head);
  // Ranges differ, so that a mixed-up one is found out.
  for (let at = head.length; at < bytes.length; at += 1024) bytes[at] = (at >> 10) % 251;
  return bytes;
}

/** Bytes of the unfinished download that a crash can't take any more. */
async function durableBytes(node: ClusterNode, digest: string): Promise<number> {
  const folder = `${node.homeFolder}/.odist/models/blobs`;
  const prefix = `${digest.replace(":", "-")}-partial-`;
  let sum = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const part = await Deno.readTextFile(`${folder}/${name}`).catch(() => "");
    sum += Number(/"Completed":(\d+)/.exec(part)?.[1] ?? 0);
  }
  return sum;
}

async function receivedBytes(node: ClusterNode): Promise<number> {
  const text = await (await node.fetch("/metrics")).text();
  return Number(/^odist_blob_bytes_received_total (\S+)$/m.exec(text)?.[1] ?? 0);
}

clusterTest(
  "a fetch whose node is killed goes on where it was",
  {
    nodes: 2,
    environment: { ODIST_REPLICATE_AFTER: "0s", ODIST_REPAIR_AFTER: "1h", ODIST_METRICS: "true" },
  },
  async (cluster) => {
    // Slow enough that the kill comes in the middle.
    cluster.degrade({ bytesPerSecond: 12 * MIB });
    const digest = digestOf(MODEL);
    const [first, second] = [cluster.client("n1"), cluster.client("n2")];
    await first.fetch(`/api/blobs/${digest}`, { method: "POST", body: MODEL });
    await first.ask("POST", "/api/create", {
      model: "big",
      files: { "w.gguf": digest },
      stream: false,
    });
    const kept = await cluster.until("some of it is safe", async () => {
      const bytes = await durableBytes(second, digest);
      return bytes >= 12 * MIB && bytes;
    });
    await cluster.kill("n2");
    await cluster.restart("n2");
    await cluster.until("all of it has come", async () => {
      const path = `${second.homeFolder}/.odist/models/blobs/${digest.replace(":", "-")}`;
      return await Deno.stat(path).then(({ size }) => size === MODEL.length, () => false);
    });
    const received = await receivedBytes(second);
    assert.ok(received <= MODEL.length - kept + MIB, `${received} bytes after ${kept} were here`);
    const shown = await second.request("POST", "/api/show", { body: { model: "big" } });
    assert.equal(shown.status, 200);
  },
);
