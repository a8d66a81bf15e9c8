/**
 * What disks do to real nodes: damaged logs and snapshots, a full disk, one that becomes read-only.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { copyFolder } from "../harness/old_disk.ts";
import { LoopDisk, SmallDisk } from "../harness/small_disk.ts";

const DISK_BYTES = 64 * 1_048_576;
const PATIENCE_MS = 30_000;

const lacking = await SmallDisk.lacking();
const lackingLoop = await LoopDisk.lacking();
for (const reason of new Set([lacking, lackingLoop])) {
  if (reason !== undefined) console.log(`not tried: ${reason}`);
}

/** What can be read of a damaged file, and how it is damaged. */
const DAMAGES: readonly (readonly [string, RegExp, (bytes: Uint8Array) => Uint8Array])[] = [
  ["a bit that turned in a segment's head", /^wal-/, (bytes) => turned(bytes, 17)],
  ["a segment that lost its end", /^wal-/, (bytes) => bytes.slice(0, -512)],
  ["a bit that turned in a snapshot", /^snapshot-/, (bytes) => turned(bytes, bytes.length >> 1)],
  ["a snapshot that lost its end", /^snapshot-/, (bytes) => bytes.slice(0, -1)],
];

function turned(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 4;
  return copy;
}

async function put(cluster: TestCluster, name: string, key: string): Promise<void> {
  await cluster.client(name).ask("PUT", `/api/cluster/settings/${key}`, { value: "1" });
}

/** All that was acknowledged is with every node that runs. */
async function assertKept(cluster: TestCluster, keys: readonly string[]): Promise<void> {
  for (const name of cluster.running) {
    const { settings } = await cluster.client(name).ask("GET", "/api/cluster/settings");
    const there = (settings as readonly { key: string }[]).map(({ key }) => key);
    assert.deepEqual(keys.filter((key) => !there.includes(key)), [], name);
  }
}

/** The node is alive, says that it takes no part and why, and the others know. */
async function assertSays(cluster: TestCluster, name: string, reason: RegExp): Promise<void> {
  const { body: ready } = await cluster.client(name).request("GET", "/ready");
  assert.match(JSON.stringify(ready), reason);
  const status = await cluster.client(name).request("GET", "/api/cluster/status");
  assert.equal(status.body.health, "fenced");
  const { body: shown } = await cluster.client(name).request("GET", "/metrics");
  assert.match(String(shown.text), /^odist_raft_fenced 1$/m);
  assert.match(cluster.client(name).printed, /node_fenced|raft_log_has_no_room/);
  const others = cluster.running.filter((other) => other !== name);
  for (const other of others) {
    await cluster.until(`${other} knows that ${name} is fenced`, async () => {
      const { members } = await cluster.status(other);
      const health = members.find((member) => member.name === name)?.health ?? "";
      return health === "fenced";
    });
  }
}

clusterTest(
  "a node with a damaged log or snapshot is up, says so, and takes nothing with it",
  { nodes: 3 },
  async (cluster) => {
    const keys: string[] = [];
    const acknowledge = async (at: string) => {
      const key = `k${keys.length}`;
      await put(cluster, at, key);
      keys.push(key);
    };
    for (const [title, pattern, damage] of DAMAGES) {
      const victim = await cluster.leader();
      const [other = ""] = cluster.names.filter((name) => name !== victim);
      for (let count = 0; count < 5; count++) await acknowledge(victim);
      await cluster.kill(victim);
      const folder = join(cluster.client(victim).homeFolder, ".odist", "cluster", "raft");
      await copyFolder(folder, `${folder}.copy`);
      const file = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
        .findLast((name) => pattern.test(name)) ?? "";
      const path = join(folder, file);
      await Deno.writeFile(path, damage(await Deno.readFile(path)));
      await cluster.restart(victim);
      await assertSays(cluster, victim, new RegExp(file));
      const tags = await cluster.client(victim).request("GET", "/api/tags");
      assert.equal(tags.status, 200, title);
      await cluster.leader();
      await acknowledge(other);
      // Its own log again, as out of a hospital.
      await cluster.stop(victim);
      await Deno.remove(folder, { recursive: true });
      await Deno.rename(`${folder}.copy`, folder);
      await cluster.restart(victim);
      await cluster.healthy(3);
      await assertKept(cluster, keys);
    }
    assert.equal(keys.length, 6 * DAMAGES.length);
  },
);

/** Moves a node's data onto a disk of its own. */
async function moveTo(
  cluster: TestCluster,
  name: string,
  disk: SmallDisk | LoopDisk,
): Promise<string> {
  await cluster.stop(name);
  const data = join(disk.folder, "data");
  await copyFolder(join(cluster.client(name).homeFolder, ".odist"), data);
  // What the test has put there is no part of what it tries.
  await new Deno.Command("sync", { args: ["-f", data] }).output();
  return data;
}

clusterTest(
  "a full disk keeps no node from starting, and no change is lost to it",
  { nodes: 3, ignore: lacking !== undefined },
  async (cluster) => {
    await using disk = await SmallDisk.open(DISK_BYTES);
    await put(cluster, "n1", "before");
    const data = await moveTo(cluster, "n2", disk);
    await disk.fill();
    await assert.rejects(Deno.writeFile(join(disk.folder, "more"), new Uint8Array(4_096)));
    await cluster.restart("n2", { ODIST_DATA: data });
    const tags = await cluster.client("n2").request("GET", "/api/tags");
    assert.equal(tags.status, 200);
    await put(cluster, "n1", "meanwhile");
    await disk.empty();
    await cluster.healthy(3, { timeoutMs: PATIENCE_MS });
    await assertKept(cluster, ["before", "meanwhile"]);
    await cluster.stop("n2");
  },
);

clusterTest(
  "a disk that becomes read-only fences its node, which says so, and loses nothing",
  { nodes: 3, ignore: lackingLoop !== undefined },
  async (cluster) => {
    await using disk = await LoopDisk.open(DISK_BYTES);
    const data = await moveTo(cluster, "n2", disk);
    await cluster.restart("n2", { ODIST_DATA: data });
    await cluster.healthy(3);
    await put(cluster, "n1", "before");
    await disk.abort();
    await put(cluster, "n1", "meanwhile");
    await cluster.until("n2 has met its disk", async () => {
      const { body } = await cluster.client("n2").request("GET", "/api/cluster/status");
      return body.health === "fenced";
    });
    await assertSays(cluster, "n2", /Read-only file system/i);
    await put(cluster, "n1", "more");
    await cluster.stop("n2");
    await disk.mountAgain();
    await cluster.restart("n2", { ODIST_DATA: data });
    await cluster.healthy(3);
    await assertKept(cluster, ["before", "meanwhile", "more"]);
    await cluster.stop("n2");
  },
);
