/**
 * Two machines, of which the one that votes goes away, on real processes: what the other one knows it tells, at once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

const ANSWER = { model: "tiny", prompt: "Hello!", stream: false, options: { num_predict: 4 } };
const READS: readonly (readonly [string, string, unknown?])[] = [
  ["GET", "/api/tags"],
  ["GET", "/v1/models"],
  ["GET", "/v1/models/tiny"],
  ["POST", "/api/show", { model: "tiny" }],
  ["GET", "/api/ps"],
  ["POST", "/api/generate", ANSWER],
];
/** A quarter of a second, and what a busy machine takes. */
const FIRST_READ_MS_MAX = 2_000;

/** Both hold the model, so that either can answer alone. */
async function bothHold(cluster: TestCluster): Promise<void> {
  for (const name of cluster.names) {
    await cluster.until(`${name} holds tiny`, async () => {
      const answer = await cluster.client(name).request("POST", "/api/generate", {
        body: { ...ANSWER, prompt: "" },
      });
      return answer.headers.get("x-odist-node") === name;
    });
  }
}

async function readAll(cluster: TestCluster, name: string): Promise<void> {
  for (const [method, path, body] of READS) {
    const startMs = performance.now();
    const answer = await cluster.client(name).request(method, path, { body });
    assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    const tookMs = performance.now() - startMs;
    if (!path.endsWith("generate")) assert.ok(tookMs < FIRST_READ_MS_MAX, `${path}: ${tookMs} ms`);
  }
}

async function goneVoter(cluster: TestCluster): Promise<readonly [string, string]> {
  const voter = await cluster.leader();
  const other = cluster.names.find((name) => name !== voter) ?? "";
  await bothHold(cluster);
  return [voter, other];
}

clusterTest(
  "a voter that is killed takes no list, show or answer with it, and the other says what works",
  { nodes: 2, environment: { ODIST_REPLICATE_AFTER: "0s" } },
  async (cluster) => {
    const [voter, other] = await goneVoter(cluster);
    const fresh = await cluster.client(other).request("GET", "/api/tags");
    assert.equal(fresh.headers.get("x-odist-consistency"), "linearizable");
    await cluster.kill(voter);
    await readAll(cluster, other);
    const stale = await cluster.client(other).request("GET", "/api/tags");
    assert.equal(stale.headers.get("x-odist-consistency"), "stale");
    const ready = await cluster.until("it says that changes are impossible", async () => {
      const { status, body } = await cluster.client(other).request("GET", "/ready");
      assert.deepEqual([status, body.ready], [200, true]);
      const changes = Object(body.changes);
      return /1 of 1 voter is down/.test(changes.reason) && changes.since !== undefined && changes;
    });
    assert.equal(ready.possible, false);
    // What must have a quorum says what is missing, and does not wait for it.
    for (const path of ["/api/cluster/settings/a", "/api/cluster/settings/b"]) {
      const startMs = performance.now();
      const refused = await cluster.client(other).request("PUT", path, { body: { value: "1" } });
      assert.equal(refused.status, 503);
      assert.match(
        JSON.stringify(refused.body),
        new RegExp(`1 of 1 voter is down: start ${voter}`),
      );
      assert.ok(performance.now() - startMs < FIRST_READ_MS_MAX);
    }
    const strict = await cluster.client(other).request("GET", "/api/tags?consistency=linearizable");
    assert.equal(strict.status, 503);
    await cluster.restart(voter);
    await cluster.until("a quorum answers again", async () => {
      const answer = await cluster.client(other).request("GET", "/api/tags");
      return answer.headers.get("x-odist-consistency") === "linearizable";
    });
    await cluster.client(other).ask("PUT", "/api/cluster/settings/a", { value: "1" });
  },
);

clusterTest(
  "one of three left lists all models, and says of those it does not hold who does",
  { nodes: 3, environment: { ODIST_REPLICATE_AFTER: "1h" } },
  async (cluster) => {
    const body = { model: "smol", from: "tiny", system: "Be small.", stream: false };
    await cluster.client("n1").ask("POST", "/api/create", body);
    await cluster.until("n3 has heard of it and who holds it", async () => {
      const answer = await cluster.client("n3").request("POST", "/api/generate", {
        body: { ...ANSWER, model: "smol" },
      });
      return answer.headers.get("x-odist-node") === "n1";
    });
    await cluster.kill("n1");
    await cluster.kill("n2");
    const { models } = await cluster.client("n3").ask("GET", "/api/tags");
    assert.match(JSON.stringify(models), /"smol:latest"/);
    await cluster.until("n3 says who holds it", async () => {
      const asked: readonly (readonly [string, unknown])[] = [
        ["/api/show", { model: "smol" }],
        ["/api/generate", { ...ANSWER, model: "smol" }],
      ];
      for (const [path, request] of asked) {
        const answer = await cluster.client("n3").request("POST", path, { body: request });
        assert.equal(answer.status, 503);
        if (!/n1 holds it and is down; start it again/.test(JSON.stringify(answer.body))) {
          return false;
        }
      }
      return true;
    });
  },
);
