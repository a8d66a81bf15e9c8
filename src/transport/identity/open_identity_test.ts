import assert from "node:assert/strict";
import { StorageError } from "../../base/mod.ts";
import { join, JoinDesk } from "../../../tests/harness/join_desk.ts";
import { MemoryFiles } from "../../../tests/harness/memory_files.ts";
import { openIdentity, type StoredIdentity } from "./mod.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const DAY_MS = 24 * 60 * 60 * 1_000;

async function open(files: MemoryFiles, nowMs = NOW_MS): Promise<StoredIdentity> {
  return await openIdentity(files, { name: "n1", nowMs: () => nowMs });
}

async function assertDamaged(opening: Promise<unknown>, text: RegExp): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof StorageError && error.code === "corrupt_file", String(error));
    assert.match(error.message, text);
    assert.doesNotMatch(error.message, /PRIVATE/);
    return true;
  });
}

Deno.test("A node keeps its id, cluster and life over restarts, and every start is a later one", async () => {
  const files = new MemoryFiles();
  const first = await open(files);
  assert.equal(first.membership, undefined);
  const { identity } = await first.found();
  await first.saveLife({ bootEpoch: first.bootEpoch, incarnation: 7 });
  const second = await open(files);
  assert.equal(second.nodeId, first.nodeId);
  assert.equal(second.membership?.origin, "founded");
  assert.deepEqual(second.membership?.identity.certificate, identity.certificate);
  assert.equal(second.incarnation, 7);
  assert.ok(second.bootEpoch > first.bootEpoch);
});

Deno.test("A start is a later one than all of a life that a restored backup has forgotten", async () => {
  const files = new MemoryFiles();
  await (await open(files)).found();
  const backup = new Map(files.files);
  let latest = 0;
  for (let start = 1; start <= 50; start++) {
    latest = (await open(files, NOW_MS + start * 60_000)).bootEpoch;
  }
  backup.forEach((bytes, name) => files.files.set(name, bytes));
  assert.ok((await open(files, NOW_MS + 60 * 60_000)).bootEpoch > latest);
});

Deno.test("Two copies of a node's files that are started within a second begin different lives", async () => {
  const files = new MemoryFiles();
  await (await open(files)).found();
  const copy = new MemoryFiles();
  files.files.forEach((bytes, name) => copy.files.set(name, bytes));
  const first = await open(files, NOW_MS + 60_100);
  const second = await open(copy, NOW_MS + 60_500);
  // Equal ones would pass for one and the same node that is reached now here, now there, and never be noticed.
  assert.ok(second.bootEpoch > first.bootEpoch);
});

Deno.test("A boot that a wrong clock dated years ahead does not keep the node out for years", async () => {
  const files = new MemoryFiles();
  const wrong = await open(files, NOW_MS + 10 * 365 * 24 * 3_600_000);
  assert.ok(wrong.bootEpoch > NOW_MS);
  assert.equal((await open(files, NOW_MS)).bootEpoch, NOW_MS);
});

Deno.test("What could not be read again is not written", async () => {
  const files = new MemoryFiles();
  const node = await open(files);
  await assert.rejects(node.saveLife({ bootEpoch: 2 ** 53, incarnation: 0 }), /read back/);
  assert.equal((await open(files)).nodeId, node.nodeId);
});

Deno.test("A lone founder that joins forgets its cluster, whenever it dies on the way", async () => {
  const desk = await JoinDesk.open(NOW_MS);
  const clusterId = desk.cluster.authority.clusterId;
  for (let writes = 0; writes <= 7; writes++) {
    const files = new MemoryFiles();
    const node = await open(files);
    const founded = (await node.found()).authority.clusterId;
    const answer = await join(await desk.createToken(), { dial: desk.dial, key: node.key });
    files.writesLeft = writes;
    const [adopted] = await Promise.allSettled([node.adopt(answer)]);
    files.writesLeft = Infinity;
    const after = await open(files);
    assert.equal(after.nodeId, node.nodeId);
    const found = after.membership?.authority.clusterId;
    if (adopted?.status === "fulfilled") assert.equal(found, clusterId);
    else assert.ok(found === undefined || found === founded, `${writes} writes: ${found}`);
  }
});

Deno.test("A joiner keeps the keys of those it was told of over restarts, until it knows more or leaves", async () => {
  const desk = await JoinDesk.open(NOW_MS);
  const files = new MemoryFiles();
  const node = await open(files);
  const answer = await join(await desk.createToken(), { dial: desk.dial, key: node.key });
  await node.adopt(answer);
  const told = answer.members.map(({ nodeId, publicKey }) => ({ nodeId, publicKey }));
  assert.ok(told.length > 0);
  const again = await open(files);
  assert.deepEqual(again.firstMembers, told);
  await again.dropFirstMembers();
  assert.deepEqual((await open(files)).firstMembers, []);
  await files.write("first_members.json", new TextEncoder().encode("[{]"));
  await assertDamaged(open(files), /first_members.json/);
});

Deno.test("A node that leaves comes back as another one, whenever it dies on the way", async () => {
  for (let writes = 0; writes <= 5; writes++) {
    const files = new MemoryFiles();
    const node = await open(files);
    await node.found();
    files.writesLeft = writes;
    await Promise.allSettled([node.leave()]);
    files.writesLeft = Infinity;
    const after = await open(files);
    assert.equal(after.nodeId === node.nodeId, writes === 0);
    assert.equal(after.membership === undefined, writes > 0);
    assert.ok(after.bootEpoch > node.bootEpoch);
  }
});

Deno.test("A certificate is renewed in its last third, after its end, and where it is damaged", async () => {
  const files = new MemoryFiles();
  const { identity } = await (await open(files)).found();
  const certificateAt = async (nowMs: number) =>
    (await open(files, nowMs)).membership?.identity.certificate;
  assert.deepEqual(await certificateAt(NOW_MS + 200 * DAY_MS), identity.certificate);
  const renewed = await certificateAt(NOW_MS + 300 * DAY_MS);
  assert.notDeepEqual(renewed, identity.certificate);
  assert.deepEqual(await certificateAt(NOW_MS + 301 * DAY_MS), renewed);
  const late = await certificateAt(NOW_MS + 3_000 * DAY_MS);
  assert.notDeepEqual(late, renewed);
  files.files.set("certificate.pem", new Uint8Array(3));
  assert.notDeepEqual(await certificateAt(NOW_MS + 3_000 * DAY_MS), late);
});

Deno.test("A node that runs on renews what it shows in TLS before two weeks are over, and its certificate once a year", async () => {
  let nowMs = NOW_MS;
  const node = await openIdentity(new MemoryFiles(), { name: "n1", nowMs: () => nowMs });
  assert.equal(node.expiresAtMs, undefined);
  const founded = (await node.found()).identity;
  assert.equal(node.expiresAtMs, NOW_MS + 12 * DAY_MS);
  nowMs += 5 * DAY_MS;
  assert.equal(await node.renewIfDue(), undefined);
  nowMs += 5 * DAY_MS;
  const renewed = await node.renewIfDue() ?? assert.fail();
  assert.notDeepEqual(renewed.leaf, founded.leaf);
  assert.deepEqual(renewed.certificate, founded.certificate);
  assert.equal(node.membership?.identity, renewed);
  assert.equal(node.expiresAtMs, nowMs + 12 * DAY_MS);
  nowMs += 290 * DAY_MS;
  const late = await node.renewIfDue() ?? assert.fail();
  assert.notDeepEqual(late.certificate, founded.certificate);
  assert.equal(await node.renewIfDue(), undefined);
});

Deno.test("A node whose files are damaged says which, and never makes itself up anew", async () => {
  for (
    const [name, text] of [
      ["key.pem", /key\.pem.*no private key/],
      ["authority.pem", /authority\.pem/],
      ["authority_key.pem", /authority_key\.pem/],
      ["identity.json", /identity\.json/],
    ] as const
  ) {
    for (const damage of ["empty", "missing", "flipped"] as const) {
      // Only voters keep it.
      if (name === "authority_key.pem" && damage === "missing") continue;
      const files = new MemoryFiles();
      await (await open(files)).found();
      const bytes = files.files.get(name) ?? new Uint8Array(0);
      if (damage === "missing") files.files.delete(name);
      else if (damage === "empty") files.files.set(name, new Uint8Array(0));
      else files.files.set(name, bytes.map((byte, at) => at === 70 ? byte ^ 1 : byte));
      await assertDamaged(open(files), text);
    }
  }
});

Deno.test("A node with the key or the authority of another one says whose they are", async () => {
  const [files, others] = [new MemoryFiles(), new MemoryFiles()];
  const node = await open(files);
  await node.found();
  const other = await open(others);
  await other.found();
  const own = new Map(files.files);
  files.files.set("key.pem", others.files.get("key.pem") ?? new Uint8Array(0));
  await assertDamaged(open(files), new RegExp(`node ${other.nodeId}, not of ${node.nodeId}`));
  own.forEach((bytes, name) => files.files.set(name, bytes));
  for (const name of ["authority.pem", "authority_key.pem"]) {
    files.files.set(name, others.files.get(name) ?? new Uint8Array(0));
  }
  await assertDamaged(open(files), /of cluster [0-9a-f]{16}, not of/);
});
