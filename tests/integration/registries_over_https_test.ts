import assert from "node:assert/strict";
import { MANIFEST_MEDIA_TYPE } from "../../src/protocol/mod.ts";
import { FaultyRegistry } from "../harness/faulty_registry.ts";
import { LOCALHOST_TLS } from "../harness/localhost_tls.ts";
import { digestOf } from "../harness/memory_models.ts";
import { startNode, type TestNode } from "../harness/node.ts";

const TEXT = new TextEncoder().encode("Be kind.");
const CONFIG = new TextEncoder().encode("{}");
const MANIFEST = {
  schemaVersion: 2,
  mediaType: MANIFEST_MEDIA_TYPE,
  config: { mediaType: "application/json", digest: digestOf(CONFIG), size: CONFIG.length },
  layers: [{
    mediaType: "application/vnd.ollama.image.system",
    digest: digestOf(TEXT),
    size: TEXT.length,
  }],
};

async function withNode(
  environment: Readonly<Record<string, string>>,
  use: (node: TestNode) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-https-" });
  try {
    await Deno.writeTextFile(`${folder}/ca.pem`, LOCALHOST_TLS.cert);
    const named = Object.entries(environment).map(([name, file]) => [name, `${folder}/${file}`]);
    await using node = await startNode({ environment: Object.fromEntries(named) });
    await use(node);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function lastOf(node: TestNode, path: string, model: string): Promise<unknown> {
  return (await node.askLines(path, { model })).at(-1);
}

Deno.test("models are pulled from and pushed to a registry over https, its parts to another host of its own choice", () =>
  withNode({ NODE_EXTRA_CA_CERTS: "ca.pem" }, async (node) => {
    await using storage = new FaultyRegistry({ tls: LOCALHOST_TLS });
    await using registry = new FaultyRegistry({ tls: LOCALHOST_TLS, wantsToken: true });
    registry.offer("m", MANIFEST, [TEXT, CONFIG]);
    const model = `${registry.host}/library/m`;
    assert.deepEqual(await lastOf(node, "/api/pull", model), { status: "success" });

    registry.blobs.clear();
    registry.intercept = ({ method }) =>
      method === "PATCH"
        ? new Response(null, {
          status: 307,
          headers: { location: `https://${storage.host}/stored?signature=1` },
        })
        : undefined;
    const stored: string[] = [];
    storage.intercept = ({ headers }) => {
      stored.push(`${headers.get("authorization")} ${headers.get("content-length")}`);
      return new Response();
    };
    // The registry itself has not got the bytes and says so; that it was asked is what is looked at.
    assert.match(JSON.stringify(await lastOf(node, "/api/push", model)), /digest invalid/);
    assert.deepEqual(stored, [`null ${TEXT.length}`]);
    assert.deepEqual(storage.seen.map(({ method, path }) => `${method} ${path}`), [
      "PUT /stored?signature=1",
    ]);
  }));

Deno.test("a registry over https leads neither reads nor writes to http", () =>
  withNode({ NODE_EXTRA_CA_CERTS: "ca.pem" }, async (node) => {
    await using plain = new FaultyRegistry();
    await using registry = new FaultyRegistry({ tls: LOCALHOST_TLS });
    registry.offer("m", MANIFEST, [TEXT, CONFIG]);
    const model = `${registry.host}/library/m`;
    const isLed = ["GET", "HEAD", "POST", "PATCH", "PUT"];
    assert.deepEqual(await lastOf(node, "/api/pull", model), { status: "success" });
    for (const led of isLed) {
      registry.blobs.clear();
      registry.intercept = ({ method }) =>
        method === led
          ? new Response(null, { status: 307, headers: { location: `http://${plain.host}/x` } })
          : undefined;
      const path = led === "GET" ? "/api/pull" : "/api/push";
      assert.match(
        JSON.stringify(await lastOf(node, path, model)),
        /it leaves https for http/,
        led,
      );
    }
    assert.deepEqual(plain.seen, []);
  }));

Deno.test("a registry whose certificate nobody vouches for is not spoken to", () =>
  withNode({}, async (node) => {
    await using registry = new FaultyRegistry({ tls: LOCALHOST_TLS });
    const last = await lastOf(node, "/api/pull", `${registry.host}/library/m`);
    assert.match(JSON.stringify(last), /cannot reach localhost:\d+: .*certificate/i);
    assert.deepEqual(registry.seen, []);
  }));
