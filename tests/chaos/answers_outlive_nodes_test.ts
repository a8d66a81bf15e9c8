import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { clusterTest, IS_LONG, type TestCluster } from "../harness/cluster.ts";
import { streamedLines } from "../harness/json_lines.ts";

const KILLS = IS_LONG ? 50 : 4;
const PROMPTS = ["Tell me a story about a fox.", "Write a poem.", "Count from 1 to 10."];

/** One streamed answer of `n1`; `onLine` is called with each line's number, from 1, and the node that serves. */
async function read(
  cluster: TestCluster,
  prompt: string,
  onLine: (line: number, servedBy: string) => Promise<void> = async () => {},
): Promise<{ text: string; last: Record<string, unknown>; requestId: string }> {
  const body = JSON.stringify({ model: "tiny", prompt, options: { temperature: 0 } });
  const response = await cluster.client("n1").fetch("/api/generate", { method: "POST", body });
  assert.equal(response.status, 200);
  const servedBy = response.headers.get("x-odist-node") ?? "";
  const requestId = response.headers.get("x-request-id") ?? "";
  let text = "";
  let last: Record<string, unknown> = {};
  let count = 0;
  for await (const line of streamedLines(response)) {
    text += String(line["response"] ?? "");
    last = line;
    await onLine(++count, servedBy);
  }
  return { text, last, requestId };
}

interface Route {
  readonly standing: string;
  readonly outcome: string;
  readonly chosen: { readonly name: string; readonly rank: string } | null;
  readonly runners_up: readonly { readonly name: string; readonly rank: string }[];
}

async function explain(cluster: TestCluster, requestId: string): Promise<readonly Route[]> {
  const path = `/api/cluster/explain/${requestId}`;
  const { routes } = await cluster.client("n1").ask("GET", path);
  return routes as Route[];
}

/** Waits until n1 knows that both others hold the model and are well. */
async function othersHold(cluster: TestCluster): Promise<void> {
  await cluster.until("both others are sound holders", async () => {
    const { headers } = await cluster.client("n1").request("POST", "/api/generate", {
      body: { model: "tiny", prompt: "" },
    });
    const [route] = await explain(cluster, headers.get("x-request-id") ?? "");
    const holders = route === undefined ? [] : [route.chosen, ...route.runners_up];
    return holders.filter((holder) => holder?.rank === "sound").length === 2;
  });
}

clusterTest(
  "An answer goes on, to the byte, when the machine that computes it is killed",
  { nodes: 3 },
  async (cluster) => {
    // What comes in at n1 is computed by n2 or n3.
    await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
    await othersHold(cluster);
    const undisturbed = new Map<string, string>();
    for (const prompt of PROMPTS) undisturbed.set(prompt, (await read(cluster, prompt)).text);
    const random = new Random(11);
    for (let round = 0; round < KILLS; round++) {
      const prompt = PROMPTS[round % PROMPTS.length] ?? "";
      const killAt = 1 + random.below(4);
      let killed = "";
      const { text, last, requestId } = await read(cluster, prompt, async (line, servedBy) => {
        if (line !== killAt) return;
        killed = servedBy;
        assert.notEqual(servedBy, "n1");
        await cluster.kill(servedBy);
      });
      assert.equal(last["done"], true, `round ${round}: ${JSON.stringify(last)}`);
      assert.equal(text, undisturbed.get(prompt), `round ${round}, ${killed} killed`);
      const routes = await explain(cluster, requestId);
      assert.equal(routes[0]?.chosen?.name, killed);
      assert.notEqual(routes.at(-1)?.chosen?.name, killed);
      assert.deepEqual([routes.at(-1)?.standing, routes.at(-1)?.outcome], ["resumed", "granted"]);
      await cluster.restart(killed);
      await cluster.healthy(3);
      await othersHold(cluster);
    }
  },
);

clusterTest(
  "An answer goes on, to the byte, when the machine that computes it is cut off or stands still",
  { nodes: 3 },
  async (cluster) => {
    await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
    await othersHold(cluster);
    const [prompt = ""] = PROMPTS;
    const undisturbed = (await read(cluster, prompt)).text;
    for (const trouble of ["isolate", "pause"] as const) {
      let troubled = "";
      const { text, last, requestId } = await read(cluster, prompt, async (line, servedBy) => {
        if (line === 3) cluster[trouble](troubled = servedBy);
      });
      assert.equal(last["done"], true, `${trouble}: ${JSON.stringify(last)}`);
      assert.equal(text, undisturbed, `${trouble} ${troubled}`);
      const routes = await explain(cluster, requestId);
      assert.equal(routes[0]?.chosen?.name, troubled);
      assert.notEqual(routes.at(-1)?.chosen?.name, troubled, `${trouble} moved nothing`);
      if (trouble === "pause") cluster.resume(troubled);
      else cluster.heal();
      await cluster.healthy(3);
      await othersHold(cluster);
      await cluster.until(`${troubled} has its slot back`, async () => {
        const { members } = await cluster.client(troubled).ask("GET", "/api/cluster/status");
        const rows = members as { name: string; load: { running_requests: number } | null }[];
        return rows.find(({ name }) => name === troubled)?.load?.running_requests === 0;
      });
    }
  },
);

clusterTest(
  "A node that stops finishes the answers that others compute for it",
  { nodes: 2 },
  async (cluster) => {
    await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
    let stopped: Promise<number> | undefined;
    await cluster.until("n2 computes what comes in at n1", async () => {
      const { headers } = await cluster.client("n1").request("POST", "/api/generate", {
        body: { model: "tiny", prompt: "" },
      });
      return headers.get("x-odist-node") === "n2";
    });
    const { last } = await read(cluster, "Tell me a story about a fox.", async (line) => {
      if (line === 2) stopped = cluster.stop("n1");
    });
    assert.equal(last["done"], true, JSON.stringify(last));
    assert.equal(await stopped, 0);
  },
);
