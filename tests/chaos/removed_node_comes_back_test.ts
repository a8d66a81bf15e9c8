import assert from "node:assert/strict";
import { decodeJoinToken } from "../../src/protocol/mod.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** Copies stay where they were made. */
const ENVIRONMENT = { ODIST_REPLICATE_AFTER: "1h" };
/** Nodes of one machine hear each other's multicast. */
const IS_LINUX = Deno.build.os === "linux";
/** Long after a removed node has heard of it from two others. */
const PATIENCE_MS = 25_000;

async function removeWhileOff(cluster: TestCluster, name: string): Promise<string> {
  const { node_id: id } = await cluster.status(name);
  await cluster.kill(name);
  await cluster.until(`${name} is seen to be off`, async () => {
    const { members } = await cluster.status("n1");
    return members.find(({ node_id }) => node_id === id)?.health === "down";
  });
  await cluster.until(`${name} is removed`, async () => {
    const answer = await cluster.client("n1").request("DELETE", `/api/cluster/members/${id}`);
    return answer.status === 200;
  });
  return id;
}

/** A token of the authority that follows. */
async function createTokenAfterRevocation(cluster: TestCluster, revoked: string): Promise<string> {
  const before = credentialKey(await cluster.createToken(1));
  await cluster.client("n1").ask("POST", `/api/cluster/members/${revoked}/revoke`);
  let token = "";
  await cluster.until("there is another authority", async () => {
    token = await cluster.createToken(1).catch(() => "");
    return token !== "" && credentialKey(token) !== before;
  });
  return token;
}

function credentialKey(token: string): string {
  const decoded = decodeJoinToken(token);
  assert.equal(decoded.kind, "decoded");
  return decoded.kind === "decoded" ? decoded.value.authorityKey.toHex() : "";
}

async function seenAlive(cluster: TestCluster, id: string): Promise<void> {
  await cluster.until(`${id} is seen to be alive`, async () => {
    const { members } = await cluster.status("n1");
    return members.find(({ node_id }) => node_id === id)?.health === "alive";
  });
}

clusterTest(
  "a node that was removed while it was off joins with a token as a new member, with its models",
  { nodes: 3, environment: ENVIRONMENT },
  async (cluster) => {
    const body = { model: "mine", from: "tiny", system: "Be mine.", stream: false };
    await cluster.client("n3").ask("POST", "/api/create", body);
    const id = await removeWhileOff(cluster, "n3");
    const token = await cluster.createToken(1);
    await cluster.restart("n3", {
      ODIST_JOIN: cluster.client("n1").publicAddress,
      ODIST_TOKEN: token,
    });
    await cluster.healthy(3);
    const back = await cluster.status("n3");
    assert.notEqual(back.node_id, id, "votes were promised under the old id");
    const { models } = await cluster.client("n3").ask("GET", "/api/tags");
    assert.ok(JSON.stringify(models).includes("mine:latest"));
    // The same command line starts the member that it is.
    await cluster.stop("n3");
    await cluster.restart("n3", {
      ODIST_JOIN: cluster.client("n1").publicAddress,
      ODIST_TOKEN: token,
    });
    await cluster.healthy(3);
    assert.equal((await cluster.status("n3")).node_id, back.node_id);
  },
);

clusterTest(
  "a node that was removed while it was off comes back with --discover and a token, too",
  { nodes: 3, environment: { ...ENVIRONMENT, ODIST_DISCOVER: "true" }, ignore: !IS_LINUX },
  async (cluster) => {
    const body = { model: "mine", from: "tiny", system: "Be mine.", stream: false };
    await cluster.client("n3").ask("POST", "/api/create", body);
    const id = await removeWhileOff(cluster, "n3");
    const wish = { ODIST_JOIN: "", ODIST_TOKEN: await cluster.createToken(1) };
    await cluster.restart("n3", wish);
    await cluster.healthy(3);
    const back = await cluster.status("n3");
    assert.notEqual(back.node_id, id);
    const { models } = await cluster.client("n3").ask("GET", "/api/tags");
    assert.ok(JSON.stringify(models).includes("mine:latest"));
    // The same command line starts the member that it is.
    await cluster.stop("n3");
    await cluster.restart("n3", wish);
    await cluster.healthy(3);
    assert.equal((await cluster.status("n3")).node_id, back.node_id);
  },
);

clusterTest(
  "a node that was removed while it was off and has no token ends with what happened and what to type",
  { nodes: 3, environment: ENVIRONMENT },
  async (cluster) => {
    const { cluster_id: clusterId } = await cluster.status("n1");
    const id = await removeWhileOff(cluster, "n3");
    const node = cluster.client("n3");
    await cluster.restart("n3");
    await cluster.until("it ends", () => Promise.resolve(!node.isAlive), PATIENCE_MS);
    assert.match(node.printed, new RegExp(`was removed from cluster ${clusterId}`));
    assert.match(node.printed, /odist token create .* --join HOST:PORT/);
    // It says the truth: the next start is a cluster of its own.
    await node.start();
    const alone = await cluster.status("n3");
    assert.notEqual(alone.node_id, id);
    assert.notEqual(alone.cluster_id, clusterId);
    assert.equal(alone.members.length, 1);
  },
);

clusterTest(
  "a node that was removed while it was off comes back though another one was revoked since, which made a new authority",
  { nodes: 4, environment: ENVIRONMENT },
  async (cluster) => {
    const body = { model: "mine", from: "tiny", system: "Be mine.", stream: false };
    await cluster.client("n3").ask("POST", "/api/create", body);
    const id = await removeWhileOff(cluster, "n3");
    const { node_id: revoked } = await cluster.status("n4");
    const token = await createTokenAfterRevocation(cluster, revoked);
    const wish = { ODIST_JOIN: cluster.client("n1").publicAddress, ODIST_TOKEN: token };
    await cluster.restart("n3", wish);
    const back = await cluster.status("n3");
    assert.notEqual(back.node_id, id);
    await seenAlive(cluster, back.node_id);
    const { models } = await cluster.client("n3").ask("GET", "/api/tags");
    assert.ok(JSON.stringify(models).includes("mine:latest"));
  },
);

clusterTest(
  "a member that was off while a machine was revoked starts with a token of the new authority as the member it is",
  // Three of five voters are left.
  { nodes: 5, environment: ENVIRONMENT },
  async (cluster) => {
    const { node_id: id } = await cluster.status("n3");
    const { node_id: revoked } = await cluster.status("n4");
    await cluster.kill("n3");
    const token = await createTokenAfterRevocation(cluster, revoked);
    const wish = { ODIST_JOIN: cluster.client("n1").publicAddress, ODIST_TOKEN: token };
    await cluster.restart("n3", wish);
    assert.equal((await cluster.status("n3")).node_id, id);
    await seenAlive(cluster, id);
  },
);

clusterTest(
  "a revoked node that is told to join again says that it can't, and why",
  { nodes: 2, environment: ENVIRONMENT },
  async (cluster) => {
    const { node_id: id } = await cluster.status("n2");
    const node = cluster.client("n2");
    await cluster.kill("n2");
    await cluster.client("n1").ask("POST", `/api/cluster/members/${id}/revoke`);
    await assert.rejects(async () => {
      await cluster.restart("n2");
      await cluster.until("it ends", () => Promise.resolve(!node.isAlive), PATIENCE_MS);
      throw new Error(node.printed);
    }, /was revoked from cluster [0-9a-f]{16}, which lets it in no more/);
  },
);

clusterTest(
  "a node leaves by force where nobody is left to be told, and goes on alone",
  { nodes: 3, environment: ENVIRONMENT },
  async (cluster) => {
    const { cluster_id: clusterId } = await cluster.status("n3");
    await cluster.kill("n1");
    await cluster.kill("n2");
    const node = cluster.client("n3");
    const refused = await node.request("POST", "/api/cluster/leave", { body: {} });
    assert.equal(refused.status, 503);
    const left = await node.ask("POST", "/api/cluster/leave", { force: true });
    assert.match(String(left.untold), /voters are down|quorum/);
    assert.equal(await node.ended(), 0);
    await node.start();
    const alone = await cluster.status("n3");
    assert.notEqual(alone.cluster_id, clusterId);
    assert.deepEqual(alone.members.map(({ name }) => name), ["n3"]);
    const { models } = await node.ask("GET", "/api/tags");
    assert.ok(JSON.stringify(models).includes("tiny:latest"));
  },
);
