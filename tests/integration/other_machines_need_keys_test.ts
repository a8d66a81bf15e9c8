/**
 * A client on another machine, as the kernel sees it: in a network namespace of its own, at the other end of a cable. Wants
 * the right to make namespaces.
 */
import assert from "node:assert/strict";
import { startNode } from "../harness/node.ts";

// Of this process, as another may run the same test.
const NET = `10.213.${Deno.pid % 250}`;
const [OURS, THEIRS] = [`${NET}.1`, `${NET}.2`];
const SPACE = `odist-keys-${Deno.pid}`;
const CABLE = [`ok${Deno.pid}a`, `ok${Deno.pid}b`] as const;

async function run(...command: string[]): Promise<{ readonly code: number; readonly out: string }> {
  const [program = "", ...args] = command;
  const { code, stdout } = await new Deno.Command(program, { args, stderr: "null" }).output();
  return { code, out: new TextDecoder().decode(stdout) };
}

const ip = (line: string) => run("ip", ...line.split(" "));
const there = (line: string) => ip(`netns exec ${SPACE} ${line}`);

async function unplug(): Promise<void> {
  await ip(`link del ${CABLE[0]}`);
  await ip(`netns del ${SPACE}`);
}

/** False where it is not allowed. */
async function plugIn(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  try {
    const steps = [
      await ip(`netns add ${SPACE}`),
      await ip(`link add ${CABLE[0]} type veth peer name ${CABLE[1]}`),
      await ip(`link set ${CABLE[1]} netns ${SPACE}`),
      await ip(`addr add ${OURS}/24 dev ${CABLE[0]}`),
      await ip(`link set ${CABLE[0]} up`),
      await there(`ip addr add ${THEIRS}/24 dev ${CABLE[1]}`),
      await there(`ip link set ${CABLE[1]} up`),
      await there("curl --version"),
    ];
    if (steps.every(({ code }) => code === 0)) return true;
    await unplug();
    return false;
  } catch {
    return false; // No `ip`.
  }
}

async function expectKeysToBeWanted(): Promise<void> {
  try {
    await using node = await startNode({ environment: { ODIST_HOST: "0.0.0.0:0" } });
    const base = `http://${OURS}:${new URL(node.origin).port}`;
    const statusOf = async (path: string, ...args: string[]) => {
      const quiet = "curl -s -m 20 -o /dev/null -w %{http_code}";
      const command = ["ip", "netns", "exec", SPACE, ...quiet.split(" "), ...args];
      return Number((await run(...command, base + path)).out);
    };
    const prompt = JSON.stringify({ model: "tiny", prompt: "Why?", stream: false });
    assert.equal(await statusOf("/api/tags"), 200);
    assert.equal(await statusOf("/api/generate", "-d", prompt), 200);
    assert.equal(await statusOf("/api/tags", "-H", "Host: ollama:11434"), 200);
    assert.equal(await statusOf("/api/tags", "-H", "Host: evil.example"), 403);
    for (const path of ["/api/pull", "/api/cluster/tokens", "/api/cluster/keys"]) {
      assert.equal(await statusOf(path, "-d", "{}"), 401, path);
    }
    assert.equal(await statusOf("/api/cluster/snapshot"), 401);
    const { key, key_id: id } = await node.ask("/api/cluster/keys", { scopes: ["use"] });
    const withKey = ["-H", `Authorization: Bearer ${key}`];
    assert.equal(await statusOf("/api/tags"), 401);
    assert.equal(await statusOf("/api/tags", ...withKey), 200);
    assert.equal(await statusOf("/api/cluster/snapshot", ...withKey), 403);
    await (await node.get(`/api/cluster/keys/${id}`, { method: "DELETE" })).body?.cancel();
    assert.equal(await statusOf("/api/tags", ...withKey), 401);
    assert.equal(await statusOf("/api/tags"), 401, "revoking the last key opens nothing");
    assert.equal(await statusOf("/health"), 200);
  } finally {
    await unplug();
  }
}

Deno.test("a client on another machine may use models, and change nothing, until there is a key", async (scene) => {
  const isPluggedIn = await plugIn();
  await scene.step({
    name: "where namespaces may be made",
    ignore: !isPluggedIn,
    fn: expectKeysToBeWanted,
  });
});
