import assert from "node:assert/strict";
import { join } from "node:path";
import { createModelStore } from "../../src/models/mod.ts";
import { TRANSFER_LIMITS } from "../../src/models/transfer/mod.ts";
import type { TransferProgress } from "../../src/ports/mod.ts";
import { MANIFEST_MEDIA_TYPE } from "../../src/protocol/mod.ts";
import { openBlobStore, openModelCatalog, openRegistryKey } from "../../src/storage/mod.ts";
import { FaultyRegistry } from "../harness/faulty_registry.ts";
import { digestOf } from "../harness/memory_models.ts";
import { modelStoreParts, storeModel } from "../harness/stored_models.ts";

const MIB = 1024 * 1024;
const CONFIG = new TextEncoder().encode("{}");
const config = { mediaType: "application/json", digest: digestOf(CONFIG), size: CONFIG.length };
const layer = (digest: string, size = 3) => ({
  mediaType: "application/vnd.ollama.image.license",
  digest,
  size,
});
const manifest = (fields: object) =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_MEDIA_TYPE,
    config,
    layers: [],
    ...fields,
  });

/** `bytes` of one letter, a piece at a time, counting what was taken. */
function endless(bytes: number, taken: { bytes: number }): ReadableStream<Uint8Array<ArrayBuffer>> {
  const piece = new Uint8Array(64 * 1024).fill(97);
  return new ReadableStream({
    pull(controller) {
      if (taken.bytes >= bytes) return controller.close();
      taken.bytes += piece.length;
      controller.enqueue(piece);
    },
  });
}

Deno.test("a manifest that lies, never ends or unpacks without end brings nothing and takes nothing away", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-manifests-" });
  try {
    await using registry = new FaultyRegistry();
    const blobs = await openBlobStore(folder, { log: { log: () => {} }, nowMs: () => Date.now() });
    const catalog = await openModelCatalog(folder);
    const store = createModelStore({
      ...modelStoreParts({ blobs, catalog }),
      transferLimits: { ...TRANSFER_LIMITS, pauseMs: 1, progressMs: 1 },
      registryKey: openRegistryKey(join(folder, "id_ed25519")),
    });
    // The model is there already, and is to be there afterwards.
    const name = `${registry.host}/library/m`;
    await storeModel({ blobs, catalog }, { name, layers: [["system", "Be kind."]] });
    const before = await store.list();
    const taken = { bytes: 0 };
    const packed = endless(256 * MIB, taken).pipeThrough(new CompressionStream("gzip"));
    const bomb = new Uint8Array(await new Response(packed).arrayBuffer());
    const answers: Record<string, () => Response> = {
      "that never ends": () => new Response(endless(512 * MIB, taken)),
      "that unpacks to a quarter of a GiB": () =>
        new Response(bomb, { headers: { "content-encoding": "gzip" } }),
      "that is an index of others": () =>
        new Response(JSON.stringify({ schemaVersion: 2, manifests: [config] })),
      "with a layer outside the folder": () =>
        new Response(manifest({ layers: [layer("sha256:../../../../etc/passwd")] })),
      "with a layer by another hash": () => new Response(manifest({ layers: [layer("md5:aa")] })),
      "with a size below nothing": () =>
        new Response(manifest({ layers: [layer(config.digest, -1)] })),
      "with a size that is no number": () =>
        new Response(manifest({ layers: [{ ...layer(config.digest), size: "1e9" }] })),
      "with a layer the disk can't hold": () =>
        new Response(manifest({ layers: [layer(`sha256:${"b".repeat(64)}`, 2 ** 50)] })),
      "without a config": () => new Response(manifest({ config: undefined })),
      "that is a list": () => new Response("[]"),
      "that is no JSON": () => new Response("<html>"),
    };
    for (const [what, answer] of Object.entries(answers)) {
      taken.bytes = 0;
      registry.intercept = ({ path }) => path.includes("/manifests/") ? answer() : undefined;
      const pull = async () => {
        const lines: TransferProgress[] = [];
        const signal = new AbortController().signal;
        for await (const line of store.pull({ model: name, insecure: true }, signal)) {
          lines.push(line);
        }
        return lines;
      };
      const heldBytes = Deno.memoryUsage().rss;
      await assert.rejects(pull(), Error, what);
      assert.ok(Deno.memoryUsage().rss - heldBytes < 128 * MIB, `${what} takes no memory`);
      assert.ok(taken.bytes <= 64 * MIB, `${what}: ${taken.bytes} bytes were taken`);
      assert.deepEqual(await store.list(), before, what);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
