import assert from "node:assert/strict";
import { clusterTest } from "../harness/cluster.ts";
import { ClusterNode } from "../harness/cluster_node.ts";
import { NamespaceNetwork } from "../harness/net_namespaces.ts";

/** What IPv6 promises at least, and what VPNs leave. */
const WIRE = { mtu: 1_280, delayMs: 15 };
const PORT = 11_435;
/** Of a model, so that it takes some thousand packets. */
const SYSTEM_BYTES = 256 * 1024;
const PATIENCE_MS = 30_000;

const lacking = await NamespaceNetwork.lacking();
if (lacking !== undefined) console.log(`not tried: ${lacking}`);

function make(network: NamespaceNetwork, number: number): ClusterNode {
  const address = network.addressOf(number);
  return ClusterNode.make({
    name: `n${number}`,
    listenPort: PORT,
    publicAddress: `${address}:${PORT}`,
    within: network.on(number),
    environment: {
      ODIST_HOST: `${address}:11434`,
      ODIST_OPEN: "all",
      ODIST_LISTEN: `0.0.0.0:${PORT}`,
      ODIST_ADVERTISE: "",
      ODIST_REPLICATE_AFTER: "1h",
    },
  });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const startedMs = performance.now();
  while (!await holds()) {
    assert.ok(performance.now() - startedMs < PATIENCE_MS, `waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function isHealthy(node: ClusterNode, count: number): Promise<boolean> {
  const { body } = await node.request("GET", "/api/cluster/status");
  return body.health === "healthy" && (body.members as readonly unknown[]).length === count;
}

Deno.test({
  name: "a cluster forms, agrees, copies and answers where no packet may be longer than 1280 bytes",
  ignore: lacking !== undefined,
  async fn() {
    await using network = await NamespaceNetwork.open(3, WIRE);
    if (network.undelayed !== undefined) console.log(`no delay: ${network.undelayed}`);
    assert.equal(await network.mtuOf(1), WIRE.mtu);
    await using one = make(network, 1);
    await using two = make(network, 2);
    await using three = make(network, 3);
    await one.start();
    const { token } = await one.ask("POST", "/api/cluster/tokens", { uses: 2 });
    const joining = { ODIST_JOIN: one.publicAddress, ODIST_TOKEN: String(token) };
    await Promise.all([two.start(joining), three.start(joining)]);
    await until(
      "all are healthy",
      async () =>
        (await Promise.all([one, two, three].map((node) => isHealthy(node, 3)))).every(Boolean),
    );
    const system = "Be kind. ".repeat(SYSTEM_BYTES / 9);
    const body = { model: "wide", from: "tiny", system, stream: false };
    await two.ask("POST", "/api/create", body);
    const shown = await three.ask("POST", "/api/show", { model: "wide" });
    assert.equal(String(shown.system).length, system.length);
    const ask = { model: "tiny", prompt: "Hi", stream: false, options: { num_predict: 4 } };
    assert.notEqual((await three.ask("POST", "/api/generate", ask)).response, "");
    // A restart finds the others by what it has kept.
    await three.kill();
    await three.start();
    await until("the third is back", () => isHealthy(three, 3));
  },
});

clusterTest(
  "where longer packets vanish without a word and each takes 15 ms, nodes join, agree, copy and answer",
  { nodes: 2 },
  async (cluster) => {
    // What IPv6 and UDP leave of it.
    cluster.degrade({ datagramBytesMax: WIRE.mtu - 48, delayMs: WIRE.delayMs });
    const startedMs = performance.now();
    const third = await cluster.join({ environment: { ODIST_REPLICATE_AFTER: "1h" } });
    cluster.degrade({ datagramBytesMax: WIRE.mtu - 48, delayMs: WIRE.delayMs });
    // Its first connections were made before the way was as narrow.
    await cluster.kill(third);
    await cluster.restart(third, { ODIST_REPLICATE_AFTER: "1h" });
    await cluster.healthy(3);
    await cluster.voting(3);
    console.log(`a third member is healthy after ${Math.round(performance.now() - startedMs)} ms`);
    const system = "Be kind. ".repeat(SYSTEM_BYTES / 9);
    const body = { model: "wide", from: "tiny", system, stream: false };
    await cluster.client(third).ask("POST", "/api/create", body);
    const ask = { model: "wide", prompt: "Hi", stream: false, options: { num_predict: 4 } };
    const answer = await cluster.client("n1").ask("POST", "/api/generate", {
      ...ask,
      system: "Be.",
    });
    assert.notEqual(answer.response, "");
    const { droppedPackets, latePackets } = cluster.network.spoiled();
    assert.ok(droppedPackets > 0, "some packets were too long");
    // What was copied alone takes so many.
    const packets = SYSTEM_BYTES / (WIRE.mtu - 48);
    assert.ok(latePackets > packets, `${latePackets} packets were late, not ${packets}`);
  },
);
