import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { findListenPort } from "../harness/udp_switch.ts";

/** From when the last node listens. */
const HEALTHY_MS_MAX = 5_000;

/** Stops all, and starts each where no other one has ever met it; `wish` is what its user types. */
async function moveHouse(
  cluster: TestCluster,
  wish: (place: (name: string) => string, name: string) => Readonly<Record<string, string>>,
): Promise<number> {
  const ports = new Random(Deno.pid);
  const places = new Map(
    cluster.names.map((name) => [name, `127.0.0.1:${findListenPort(ports)}`] as const),
  );
  const place = (name: string) => places.get(name) ?? "";
  for (const name of cluster.names) await cluster.kill(name);
  const begunMs = performance.now();
  await Promise.all(cluster.names.map((name) =>
    cluster.restart(name, {
      ODIST_LISTEN: place(name),
      ODIST_ADVERTISE: place(name),
      ...wish(place, name),
    })
  ));
  const startedMs = performance.now();
  await cluster.healthy();
  const endedMs = performance.now();
  console.log(`healthy ${Math.round(endedMs - begunMs)} ms after three processes were started`);
  return endedMs - startedMs;
}

clusterTest(
  "all nodes have new addresses, and one --join each brings them together",
  { nodes: 3 },
  async (cluster) => {
    const next = new Map([["n1", "n2"], ["n2", "n3"], ["n3", "n1"]]);
    const tookMs = await moveHouse(cluster, (place, name) => ({
      ODIST_JOIN: place(next.get(name) ?? ""),
    }));
    console.log(`healthy ${Math.round(tookMs)} ms after the start`);
    assert.ok(tookMs < HEALTHY_MS_MAX, `healthy after ${tookMs} ms`);
    // What they have learned outlives the hint.
    await cluster.kill("n3");
    await cluster.restart("n3", await placeOf(cluster, "n3"));
    await cluster.healthy(3, { timeoutMs: 20_000 });
  },
);

async function placeOf(cluster: TestCluster, name: string) {
  const { members } = await cluster.status("n1");
  const { address = "" } = members.find((member) => member.name === name) ?? {};
  return { ODIST_LISTEN: address, ODIST_ADVERTISE: address };
}

clusterTest(
  "all nodes have new addresses, and --discover brings them together",
  { nodes: 3, ignore: Deno.build.os !== "linux" },
  async (cluster) => {
    const tookMs = await moveHouse(cluster, () => ({ ODIST_DISCOVER: "true" }));
    console.log(`healthy ${Math.round(tookMs)} ms after the start`);
    assert.ok(tookMs < HEALTHY_MS_MAX, `healthy after ${tookMs} ms`);
  },
);
