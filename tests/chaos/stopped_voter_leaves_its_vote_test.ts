/**
 * Two real machines, of which either is stopped in order: the other one goes on with changes, and who came back votes again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest } from "../harness/cluster.ts";

/** From the end of the process on. */
const CHANGES_MS_MAX = 2_000;

clusterTest(
  "of two machines the voter stops: the other takes changes within 2 s, and hands back what it was left",
  { nodes: 2 },
  async (cluster) => {
    const voter = await cluster.leader();
    const other = cluster.names.find((name) => name !== voter) ?? "";
    for (let round = 0; round < 2; round++) {
      assert.equal(await cluster.stop(voter), 0);
      const startMs = performance.now();
      const body = { source: "tiny", destination: `copy${round}` };
      await cluster.client(other).ask("POST", "/api/copy", body);
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < CHANGES_MS_MAX, `${tookMs} ms`);
      const { body: ready } = await cluster.client(other).request("GET", "/ready");
      assert.deepEqual(ready.changes, { possible: true });
      await cluster.restart(voter);
      await cluster.healthy(2);
      await cluster.until("it has its vote again", async () => await cluster.leader() === voter);
      await cluster.voting(1);
      const { models } = await cluster.client(voter).ask("GET", "/api/tags");
      assert.match(JSON.stringify(models), new RegExp(`"copy${round}:latest"`));
    }
    // Whoever has no vote takes nothing along.
    assert.equal(await cluster.stop(other), 0);
    await cluster.client(voter).ask("POST", "/api/copy", { source: "tiny", destination: "last" });
  },
);

clusterTest(
  "of three machines two stop one after the other, and the third goes on; the last says what its stop costs",
  { nodes: 3 },
  async (cluster) => {
    const [first = "", second = "", third = ""] = cluster.names;
    for (const name of [first, second]) {
      assert.equal(await cluster.stop(name), 0);
      const startMs = performance.now();
      const body = { source: "tiny", destination: `without_${name}` };
      await cluster.client(third).ask("POST", "/api/copy", body);
      assert.ok(performance.now() - startMs < CHANGES_MS_MAX);
    }
    assert.equal(await cluster.stop(third), 0);
    assert.match(cluster.client(third).printed, /stop_loses_quorum.*no other member is up/);
    for (const name of [third, first, second]) await cluster.restart(name);
    await cluster.healthy(3);
    await cluster.voting(3);
  },
);
