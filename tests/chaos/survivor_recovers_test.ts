/**
 * The drill of docs/CLUSTER.md on real processes: two of three voters are lost for good, the third goes on alone, and the
 * machines that come back after all are told, keep what they have, and join again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCommand } from "../harness/cli.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

interface Listed {
  readonly name: string;
  readonly local?: boolean;
}

async function listed(cluster: TestCluster, name: string): Promise<readonly string[]> {
  const { models } = await cluster.client(name).ask("GET", "/api/tags");
  assert.ok(Array.isArray(models));
  return models.map((model: Listed) => `${model.name}${model.local ? " local" : ""}`).sort();
}

async function create(cluster: TestCluster, name: string, model: string): Promise<void> {
  const body = { model, from: "tiny", system: `${model} of ${name}.` };
  const lines = await cluster.client(name).lines("/api/create", body);
  assert.equal(lines.at(-1)?.status, "success", JSON.stringify(lines));
}

async function systemOf(cluster: TestCluster, name: string, model: string): Promise<unknown> {
  return (await cluster.client(name).ask("POST", "/api/show", { model })).system;
}

async function recover(cluster: TestCluster, name: string) {
  const { host } = new URL(cluster.client(name).origin);
  return await runCommand(["recover", "--yes", "--host", host]);
}

clusterTest(
  "the last of three voters goes on alone by one command, and the others are told, fenced, and join again by one",
  { nodes: 3, environment: { ODIST_REPLICATE_AFTER: "0s" } },
  async (cluster) => {
    await create(cluster, "n3", "before");
    await cluster.client("n3").ask("PUT", "/api/cluster/settings/test.key", { value: "kept" });
    const { cluster_id: lostId } = await cluster.status("n3");
    const refused = await recover(cluster, "n3");
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /cannot recover: the cluster takes changes/);
    await cluster.until("all hold tiny", async () => {
      for (const name of cluster.names) {
        const body = { model: "tiny", prompt: "", stream: false };
        const answer = await cluster.client(name).request("POST", "/api/generate", { body });
        if (answer.headers.get("x-odist-node") !== name) return false;
      }
      return true;
    });
    for (const name of cluster.names) await cluster.kill(name);
    await cluster.restart("n3");
    const done = await cluster.until("the quorum is known to be lost", async () => {
      const tried = await recover(cluster, "n3");
      return tried.code === 0 && tried;
    });
    assert.match(
      done.out,
      /Left behind, until each joins again:\n(.*\n)*n1 +.* lost +voter\nn2 +.* lost +voter/,
    );
    assert.equal(await cluster.client("n3").ended(), 75, "whoever looks after it starts it again");
    await cluster.restart("n3");
    const status = await cluster.until("it leads a cluster of its own", async () => {
      const said = await cluster.status("n3").catch(() => undefined);
      return said?.health === "healthy" && said.cluster_id !== lostId && said;
    });
    assert.deepEqual(status.members.map(({ name, role }) => [name, role]), [["n3", "leader"]]);
    assert.deepEqual(await listed(cluster, "n3"), ["before:latest", "tiny:latest"]);
    await create(cluster, "n3", "taken");

    await cluster.restart("n1");
    await cluster.restart("n2");
    await cluster.until("both are told", async () => {
      const said = await Promise.all(["n1", "n2"].map((name) => cluster.status(name)));
      return said.every(({ health }) => health === "fenced");
    });
    const { host } = new URL(cluster.client("n1").origin);
    const shown = await runCommand(["status", "--host", host]);
    assert.match(shown.out, /changes +no, .*the cluster was recovered on n3 at/);
    assert.match(shown.out, /\nWarning: the cluster was recovered on n3 .*odist serve --join 127/);
    const refusal = await cluster.client("n1").request("PUT", "/api/cluster/settings/a", {
      body: { value: "1" },
    });
    assert.equal(refusal.status, 503);
    // It is as good as away from home.
    await create(cluster, "n1", "taken");
    await create(cluster, "n1", "mine");
    await cluster.client("n1").ask("POST", "/api/generate", {
      model: "mine",
      prompt: "Hello!",
      stream: false,
      options: { num_predict: 4 },
    });

    for (const name of ["n1", "n2"]) {
      await cluster.stop(name);
      const { token } = await cluster.client("n3").ask("POST", "/api/cluster/tokens", {});
      const environment = {
        ODIST_JOIN: cluster.client("n3").publicAddress,
        ODIST_TOKEN: String(token),
      };
      await cluster.restart(name, environment);
    }
    await cluster.healthy(3);
    await cluster.voting(3);
    const all = ["before:latest", "mine:latest", "taken:latest", "tiny:latest"];
    await cluster.until("n1's own models are merged", async () => {
      const [one, three] = [await listed(cluster, "n1"), await listed(cluster, "n3")];
      return three.join() === all.join() &&
        one.join() === [...all, "taken:latest@n1 local"].sort().join();
    });
    assert.equal(await systemOf(cluster, "n1", "taken"), "taken of n3.");
    assert.equal(await systemOf(cluster, "n1", "taken@n1"), "taken of n1.");
    assert.equal(await systemOf(cluster, "n3", "mine"), "mine of n1.");
    const { settings } = await cluster.client("n2").ask("GET", "/api/cluster/settings");
    assert.ok(Array.isArray(settings));
    assert.deepEqual(settings.filter(({ key }) => key === "test.key"), [
      { key: "test.key", value: "kept" },
    ]);
    // Those of machines that were are gone.
    const members = (await cluster.status("n2")).members.map(({ node_id }) => node_id);
    for (const { key } of settings) {
      const [of = ""] = /[0-9a-f]{16}$/.exec(key) ?? [];
      assert.ok(of === "" || members.includes(of), key);
    }
    const after = new URL(cluster.client("n1").origin).host;
    assert.doesNotMatch((await runCommand(["status", "--host", after])).out, /Warning/);
  },
);
