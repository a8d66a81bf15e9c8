import assert from "node:assert/strict";
import { join } from "node:path";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { streamedLines } from "../harness/json_lines.ts";

const PROMPT = "Tell me a story about a fox.";

async function odist(...args: readonly string[]): Promise<{ code: number; out: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-net", "main.ts", ...args],
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout) + text(stderr) };
}

interface Holder {
  readonly rank: string;
}

/** Has an answer computed by the leader, which dies over it; returns who was asked. */
async function moveAnAnswer(cluster: TestCluster): Promise<{ entry: string; leader: string }> {
  const leader = await cluster.leader();
  const [entry = "", other = ""] = cluster.names.filter((name) => name !== leader);
  const duty = (name: string, act: string) =>
    cluster.client(entry).ask("POST", `/api/cluster/members/${name}/${act}`);
  await duty(entry, "drain");
  await cluster.until("both others hold the model", async () => {
    const { headers } = await cluster.client(entry).request("POST", "/api/generate", {
      body: { model: "tiny", prompt: "" },
    });
    const path = `/api/cluster/explain/${headers.get("x-request-id")}`;
    const { routes } = await cluster.client(entry).ask("GET", path);
    const [route] = routes as { chosen: Holder | null; runners_up: readonly Holder[] }[];
    const holders = route === undefined ? [] : [route.chosen, ...route.runners_up];
    return holders.filter((holder) => holder?.rank === "sound").length === 2;
  });
  await duty(other, "drain");
  const body = JSON.stringify({ model: "tiny", prompt: PROMPT, options: { temperature: 0 } });
  const read = async (onLine: (line: number, servedBy: string) => Promise<void>) => {
    const response = await cluster.client(entry).fetch("/api/generate", { method: "POST", body });
    const servedBy = response.headers.get("x-odist-node") ?? "";
    let [text, count] = ["", 0];
    for await (const line of streamedLines(response)) {
      text += String(line["response"] ?? line["error"] ?? "");
      await onLine(++count, servedBy);
    }
    return text;
  };
  await cluster.until("the leader computes", async () => {
    let by = "";
    await read(async (_line, servedBy) => void (by = servedBy));
    return by === leader;
  });
  const undisturbed = await read(async () => {});
  const moved = await read(async (line, servedBy) => {
    if (line !== 2) return;
    assert.equal(servedBy, leader);
    await duty(other, "undrain");
    await cluster.kill(leader);
  });
  assert.equal(moved, undisturbed);
  await cluster.leader();
  return { entry, leader };
}

clusterTest(
  "A killed leader and the answer that moved off it are saved by one command, and replayed to the same decisions",
  { nodes: 3 },
  async (cluster) => {
    const folder = await Deno.makeTempDir();
    try {
      const { entry } = await moveAnAnswer(cluster);
      const path = join(folder, "moved.incident");
      const host = cluster.client(entry).origin;
      const saved = await odist("incident", "save", path, "--host", host);
      assert.equal(saved.code, 0, saved.out);
      const { code, out } = await odist("incident", "replay", path);
      assert.equal(code, 0, out);
      assert.match(out, /\d+ steps, each decided as recorded\n$/);
      assert.match(out, /answer \S+ failed -> \{"kind":"report_loss".*"decision":"resume"/);
      assert.match(out, /scheduler model_loaded -> .*grant_slot/);
      assert.match(out, /raft .*"role":"leader"/);
      assert.match(out, /membership .*"standing":"(suspect|down)"/);
      assert.doesNotMatch(out, /fox/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
