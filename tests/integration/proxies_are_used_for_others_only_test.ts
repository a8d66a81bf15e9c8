import assert from "node:assert/strict";
import { odistProgram, startNode } from "../harness/node.ts";
import { TestRegistry } from "../harness/registry.ts";
import { ScriptedNode } from "../harness/scripted_node.ts";

const WEIGHTS = new Uint8Array(1_000).fill(7);

Deno.test("commands reach a node on this machine past a proxy", async () => {
  await using node = new ScriptedNode({ "GET /api/tags": { json: { models: [] } } });
  const { command, args, environment } = await odistProgram();
  const port = node.host.split(":")[1];
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
    for (const variable of ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]) {
      const { code, stderr } = await new Deno.Command(command, {
        args: [...args, "list", "--host", host],
        // Nobody listens at port 1.
        env: { ...environment, [variable]: "http://127.0.0.1:1", NO_PROXY: "elsewhere.example" },
        cwd: new URL("../..", import.meta.url),
        stdin: "null",
      }).output();
      assert.equal(code, 0, `${variable} ${host}: ${new TextDecoder().decode(stderr)}`);
    }
  }
  assert.equal(node.asked.length, 6);
});

Deno.test("models are pulled through a proxy, those of this machine past it", async () => {
  await using registry = new TestRegistry();
  const name = registry.addModel("m", { weights: WEIGHTS });
  const proxied: string[] = [];
  const proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { host, pathname } = new URL(request.url);
    proxied.push(host);
    return fetch(`http://${registry.host}${pathname}`, {
      method: request.method,
      headers: request.headers,
      redirect: "manual",
    });
  });
  try {
    await using node = await startNode({
      environment: { HTTP_PROXY: `http://127.0.0.1:${proxy.addr.port}` },
    });
    const pull = async (model: string) =>
      (await node.askLines("/api/pull", { model, insecure: true })).at(-1);
    // A name that only a proxy knows.
    assert.deepEqual(await pull(name.replace(registry.host, "registry.invalid")), {
      status: "success",
    });
    assert.ok(proxied.length > 0 && proxied.every((host) => host === "registry.invalid"));
    const before = proxied.length;
    assert.deepEqual(await pull(name), { status: "success" });
    assert.equal(proxied.length, before);
  } finally {
    await proxy.shutdown();
  }
});
