import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { startNode } from "../harness/node.ts";

const HEX = "a".repeat(64);
/** Where a name or a digest would end in another folder, or in a file that is none of the models'. */
const NAMES = [
  "../../../../etc/passwd",
  "..",
  "../x:latest",
  "a/../../b",
  "/etc/passwd",
  "x:../../y",
  "h/n/m:..",
  "..:..",
  "x/%2e%2e/y",
  "C:\\windows\\x",
  "x\\..\\y",
  "a\u0000b",
  "file:///etc/passwd",
];
const DIGESTS = [
  `sha256:../../../../etc/passwd`,
  `sha256-${HEX}/../../../x`,
  `sha256:${HEX.slice(1)}/`,
  `sha256:${HEX.toUpperCase()}x`,
  "..%2f..%2f..%2fetc%2fpasswd",
  `md5:${HEX}`,
];
const PATHS = ["/etc/passwd", "../../etc/passwd", "~/.ssh/id_ed25519", "file:///etc/passwd", "./x"];

/** Each file below the home folder, but not what a node keeps of itself. */
async function filesBelow(folder: string, root = folder): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) found.push(...await filesBelow(path, root));
    else found.push(relative(root, path));
  }
  return found.filter((path) => !/^\.odist\/([^/]+|cluster\/.*)$/.test(path)).sort();
}

Deno.test("no name, digest or path that a client sends leads out of the models' folder", async () => {
  await using node = await startNode();
  const before = await filesBelow(node.homeFolder);
  const refused = async (method: string, path: string, body?: unknown) => {
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await node.get(path, { method, ...text });
    const answer = await response.text();
    const what = `${method} ${path} ${JSON.stringify(body)}: ${response.status} ${answer}`;
    // A stream that has begun says in its last line what went wrong.
    const isRefused = response.status >= 400 && response.status < 500 || /"error":/.test(answer);
    assert.ok(isRefused, what);
    assert.doesNotMatch(answer, /root:x:|BEGIN|sha256:[0-9a-f]{64}.*got/, what);
  };
  for (const model of NAMES) {
    await refused("POST", "/api/show", { model });
    await refused("POST", "/api/pull", { model });
    await refused("POST", "/api/push", { model });
    await refused("DELETE", "/api/delete", { model });
    await refused("POST", "/api/create", { model, from: "tiny" });
    await refused("POST", "/api/create", { model: "made", from: model });
    await refused("POST", "/api/copy", { source: "tiny", destination: model });
    await refused("POST", "/api/copy", { source: model, destination: "made" });
  }
  for (const digest of DIGESTS) {
    await refused("POST", `/api/blobs/${digest}`, "x");
    await refused("HEAD", `/api/blobs/${digest}`);
    await refused("POST", "/api/create", { model: "made", files: { "m.gguf": digest } });
  }
  for (const path of PATHS) {
    await refused("POST", "/api/create", { model: "made", from: path });
    await refused("POST", "/api/create", { model: "made", files: { [path]: `sha256:${HEX}` } });
    await refused("POST", "/api/create", {
      model: "made",
      from: "tiny",
      adapters: { [path]: `sha256:${HEX}` },
    });
  }
  assert.deepEqual(await filesBelow(node.homeFolder), before, "nothing was written or taken away");
});
