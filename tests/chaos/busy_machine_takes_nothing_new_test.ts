import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** What others may use of the node's machine. */
const BUSY_PERCENT = 80;
const REQUEST = { model: "tiny", prompt: "hi", stream: false, options: { num_predict: 1 } };
/** Ten seconds of it and two measurements. */
const YIELDS_WITHIN_MS = 60_000;
/** Half a minute without. */
const RETURNS_WITHIN_MS = 120_000;

/** Percent of this machine's cores in use over a second. */
async function usedPercent(): Promise<number> {
  const read = () => {
    const fields = Deno.readTextFileSync("/proc/stat").split("\n")[0]?.split(/\s+/).slice(1) ?? [];
    const ticks = fields.slice(0, 8).map(Number);
    const total = ticks.reduce((sum, one) => sum + one, 0);
    return { total, idle: (ticks[3] ?? 0) + (ticks[4] ?? 0) };
  };
  const before = read();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const now = read();
  const passed = Math.max(1, now.total - before.total);
  return 100 * (1 - (now.idle - before.idle) / passed);
}

/** One that nobody else keeps busy: else the node would yield to them, and never return. */
async function isCalm(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const percent = await usedPercent();
  if (percent < BUSY_PERCENT / 2) return true;
  console.log(`not tried: others use ${Math.round(percent)} % of this machine's cores already`);
  return false;
}

/** Takes all cores until it is disposed of. */
function otherPrograms(): Disposable {
  const programs = Array.from(
    { length: navigator.hardwareConcurrency },
    () => new Deno.Command("sh", { args: ["-c", "while :; do :; done"] }).spawn(),
  );
  return {
    [Symbol.dispose]() {
      for (const program of programs) program.kill("SIGKILL");
    },
  };
}

async function yields(cluster: TestCluster): Promise<boolean> {
  const { body } = await cluster.client("n2").request("GET", "/api/cluster/status");
  const members = body.members as readonly { name: string; yields: boolean }[];
  return members.find(({ name }) => name === "n1")?.yields === true;
}

/** The node that answers what n1 is asked. */
async function answersFor(cluster: TestCluster): Promise<string> {
  const { status, headers } = await cluster.client("n1").request("POST", "/api/generate", {
    body: REQUEST,
  });
  assert.equal(status, 200);
  return headers.get("x-odist-node") ?? "";
}

clusterTest(
  "a node whose machine other programs keep busy says so, takes nothing new, and returns when they are done",
  {
    nodes: 1,
    environment: { ODIST_YIELD_WHEN_BUSY: `${BUSY_PERCENT}` },
    ignore: !await isCalm(),
  },
  async (cluster) => {
    await cluster.join({ environment: { ODIST_YIELD_WHEN_BUSY: "0" } });
    await cluster.healthy(2);
    await cluster.client("n2").ask("POST", "/api/generate", REQUEST);
    assert.equal(await yields(cluster), false);
    assert.equal(await answersFor(cluster), "n1", "it has the model itself");
    {
      using _busy = otherPrograms();
      await cluster.until("n1 yields", () => yields(cluster), YIELDS_WITHIN_MS);
      assert.equal(await answersFor(cluster), "n2");
    }
    await cluster.until(
      "n1 returns",
      async () => !await yields(cluster) && await answersFor(cluster) === "n1",
      RETURNS_WITHIN_MS,
    );
  },
);
