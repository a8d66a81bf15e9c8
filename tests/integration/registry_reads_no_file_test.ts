import assert from "node:assert/strict";
import { join } from "node:path";
import type { Digest } from "../../src/base/mod.ts";
import { MANIFEST_MEDIA_TYPE } from "../../src/protocol/mod.ts";
import { FaultyRegistry } from "../harness/faulty_registry.ts";
import { digestOf } from "../harness/memory_models.ts";
import { startNode } from "../harness/node.ts";

const CONFIG = new TextEncoder().encode("{}");

Deno.test("a client with a registry of its own reads no file of the node's user, not even its size", async () => {
  await using node = await startNode();
  await using registry = new FaultyRegistry();
  const path = join(node.homeFolder, "key.pem");
  const key = new TextEncoder().encode("-----BEGIN PRIVATE KEY-----");
  await Deno.writeFile(path, key);
  /** What a pull of a license says that is said to be the file, of this size and digest. */
  const pullAs = async (size: number, digest: Digest) => {
    const layer = { mediaType: "application/vnd.ollama.image.license", digest, size };
    const config = { mediaType: "application/json", digest: digestOf(CONFIG), size: CONFIG.length };
    const manifest = { schemaVersion: 2, mediaType: MANIFEST_MEDIA_TYPE, config, layers: [layer] };
    registry.offer("m", manifest, [CONFIG]);
    registry.intercept = ({ method, path: asked }) => {
      if (!asked.includes(digest)) return undefined;
      if (method === "HEAD") {
        return new Response(null, { headers: { "content-length": String(size) } });
      }
      return new Response(null, { status: 307, headers: { location: `file://${path}` } });
    };
    const model = `${registry.host}/library/m`;
    const lines = await node.askLines("/api/pull", { model, insecure: true });
    // Whether a pull is seen to begin before it fails is a matter of time.
    const begun = lines.filter((line) => line["digest"] === digest);
    assert.ok(begun.every((line) => !line["completed"]), JSON.stringify(begun));
    return JSON.stringify(lines.filter((line) => !begun.includes(line)));
  };
  const wrong = digestOf(new Uint8Array());
  const right = digestOf(key);
  const said = [
    await pullAs(key.length, wrong),
    await pullAs(key.length, right),
    await pullAs(key.length - 1, wrong),
    await pullAs(key.length + 1, wrong),
  ];
  assert.match(said[0] ?? "", /refused to go to a file: address: wants http or https, got file/);
  assert.equal(new Set(said).size, 1, said.join("\n"));
  const show = await node.post("/api/show", { model: `${registry.host}/library/m` });
  assert.equal(show.status, 404);
  await show.body?.cancel();
});
