import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { noisyPicture, picture } from "../harness/colour_eye.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { streamedLines } from "../harness/json_lines.ts";
import { createSeeing, MISSING_EYES } from "../harness/seeing_model.ts";

/** One streamed answer of `n1` about a picture; `onLine` hears each line's number, from 1, and the node that serves. */
async function story(
  cluster: TestCluster,
  colour: "red" | "blue",
  onLine: (line: number, servedBy: string) => Promise<void> = async () => {},
): Promise<string> {
  const response = await cluster.client("n1").fetch("/api/generate", {
    method: "POST",
    body: JSON.stringify({
      model: "eye",
      prompt: "Tell me a story about [img].",
      images: [picture(colour).toBase64()],
      options: { temperature: 0 },
    }),
  });
  assert.equal(response.status, 200, response.ok ? "" : await response.text());
  const servedBy = response.headers.get("x-odist-node") ?? "";
  let text = "";
  let count = 0;
  let last: Record<string, unknown> = {};
  for await (const line of streamedLines(response)) {
    text += String(line["response"] ?? "");
    last = line;
    await onLine(++count, servedBy);
  }
  assert.equal(last["done"], true, JSON.stringify(last));
  return text;
}

async function createAt(cluster: TestCluster, name: string): Promise<void> {
  const node = cluster.client(name);
  await createSeeing({
    get: (path, init) => node.fetch(path, init),
    ask: (path, body) => node.ask("POST", path, body as Record<string, unknown>),
  }, "eye");
}

/** Creates the model at n2 and n3, so that both hold it, and waits until n1 knows. */
async function spread(cluster: TestCluster): Promise<void> {
  for (const name of ["n2", "n3"]) await createAt(cluster, name);
  await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
  await cluster.until("n1 knows two holders that are not itself", async () => {
    const { headers } = await cluster.client("n1").request("POST", "/api/generate", {
      body: { model: "eye", prompt: "" },
    });
    const id = headers.get("x-request-id") ?? "";
    const { routes } = await cluster.client("n1").ask("GET", `/api/cluster/explain/${id}`);
    const [route] = routes as { chosen?: object; runners_up: readonly { rank: string }[] }[];
    return route?.chosen !== undefined &&
      route.runners_up.some(({ rank }) => rank === "sound");
  });
}

clusterTest(
  "An answer about a picture goes on, to the byte, when the machine that computes it is killed" +
    MISSING_EYES,
  { nodes: 3, ignore: MISSING_EYES !== "" },
  async (cluster) => {
    await spread(cluster);
    const undisturbed = { red: await story(cluster, "red"), blue: await story(cluster, "blue") };
    assert.notEqual(undisturbed.red, undisturbed.blue);
    for (const [colour, killAt] of [["red", 2], ["blue", 5]] as const) {
      let killed = "";
      const text = await story(cluster, colour, async (line, servedBy) => {
        if (line !== killAt) return;
        killed = servedBy;
        assert.notEqual(killed, "n1");
        await cluster.kill(killed);
      });
      assert.notEqual(killed, "", "the answer was over before its node was killed");
      assert.equal(text, undisturbed[colour], `${killed} was killed at line ${killAt}`);
      await cluster.restart(killed);
      await cluster.healthy(3);
    }
  },
);

clusterTest(
  "A large picture goes along to the node that computes" + MISSING_EYES,
  { nodes: 2, ignore: MISSING_EYES !== "" },
  async (cluster) => {
    await createAt(cluster, "n2");
    await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
    const large = noisyPicture(2_200, new Random(1));
    assert.ok(large.length > 6_000_000, `${large.length} bytes`);
    await cluster.until("n2 answers what comes in at n1", async () => {
      const answer = await cluster.client("n1").request("POST", "/api/generate", {
        body: {
          ...{ model: "eye", prompt: "Repeat this word: [img]", stream: false },
          ...{ images: [large.toBase64()], options: { temperature: 0 } },
        },
      });
      if (answer.headers.get("x-odist-node") !== "n2") return false;
      assert.equal(String(answer.body["response"]).trim(), "red");
      return true;
    });
  },
);

clusterTest(
  "A model that several nodes compute together sees pictures" + MISSING_EYES,
  { nodes: 2, ignore: MISSING_EYES !== "" },
  async (cluster) => {
    for (const name of cluster.names) await createAt(cluster, name);
    for (const colour of ["red", "blue"] as const) {
      const { response } = await cluster.client("n1").ask("POST", "/api/generate", {
        ...{ model: "eye", prompt: "Repeat this word: [img]", stream: false },
        ...{ images: [picture(colour).toBase64()], options: { temperature: 0, shard: true } },
      });
      assert.equal(String(response).trim(), colour);
    }
    const { models } = await cluster.client("n1").ask("GET", "/api/ps");
    const [row] = models as { shards?: readonly { node: string }[] }[];
    assert.deepEqual(row?.shards?.map(({ node }) => node).sort(), ["n1", "n2"]);
  },
);
