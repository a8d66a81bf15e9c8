import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import type { MemberRow } from "../core/catalogue/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { CatalogueDirectory, type DirectoryParts, MemberWatch } from "./directory.ts";

const A = "00000000000000aa" as NodeId;
const B = "00000000000000bb" as NodeId;
const KEY = new Uint8Array(40).fill(1);

function row(nodeId: NodeId, standing: MemberRow["standing"] = "admitted"): MemberRow {
  return { nodeId, publicKey: KEY, label: "x", standing, changedAtMs: 1, revision: 1 };
}

Deno.test("MemberWatch tells once who came and who went, revoked members among the latter", () => {
  const watch = new MemberWatch();
  assert.deepEqual(watch.look([row(B), row(A)]), { admitted: [A, B], expelled: [] });
  assert.deepEqual(watch.look([row(A), row(B)]), { admitted: [], expelled: [] });
  assert.deepEqual(watch.look([row(A, "revoked")]), { admitted: [], expelled: [A, B] });
  assert.deepEqual(watch.look([row(A, "revoked"), row(B)]), { admitted: [B], expelled: [] });
});

class Scene {
  readonly rows = [row(A)];
  readonly clock = new HandClock();
  readonly told = new Map<NodeId, Uint8Array>();
  readonly unapplied = new Map<NodeId, Uint8Array | "revoked">();
  readonly asked: NodeId[] = [];
  leader = false;
  judgedAgain = 0;
  dropped = 0;
  read = Promise.withResolvers<void>();
  readonly directory: CatalogueDirectory;

  constructor(firstMembers: DirectoryParts["firstMembers"] = []) {
    this.directory = new CatalogueDirectory({
      rows: () => ({
        findMember: (nodeId) => this.rows.find((it) => it.nodeId === nodeId),
        members: () => this.rows,
      }),
      unapplied: (nodeId) => this.unapplied.get(nodeId),
      hasLeader: () => this.leader,
      catchUp: () => this.read.promise,
      askMembers: (nodeId) => {
        this.asked.push(nodeId);
        return Promise.resolve(this.told.get(nodeId));
      },
      firstMembers,
      dropFirstMembers: () => this.dropped++,
      judgeAgain: () => this.judgedAgain++,
      clock: this.clock,
      log: { log() {} },
    });
  }
}

const OTHER_KEY = new Uint8Array(40).fill(2);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

Deno.test("CatalogueDirectory lets no stranger in, whether or not a leader is known", async () => {
  const scene = new Scene();
  assert.equal(scene.directory.judge(A, KEY), "admitted");
  assert.equal(scene.directory.judge(A, OTHER_KEY), "key_mismatch");
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
  await turn();
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
  scene.leader = true;
  scene.directory.lookAtLeader();
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
  scene.read.resolve();
  await turn();
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
});

Deno.test("CatalogueDirectory takes whom a member vouches for until it has read the catalogue", async () => {
  const scene = new Scene();
  scene.told.set(B, OTHER_KEY);
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
  await turn();
  assert.equal(scene.directory.judge(B, OTHER_KEY), "admitted");
  assert.deepEqual(scene.directory.findKey(B), OTHER_KEY);
  assert.equal(scene.directory.judge(B, KEY), "key_mismatch");
  scene.leader = true;
  scene.directory.lookAtLeader();
  await turn();
  assert.equal(scene.judgedAgain, 0);
  scene.read.resolve();
  await turn();
  assert.equal(scene.judgedAgain, 1);
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
  assert.deepEqual(scene.asked, [B]);
});

Deno.test("CatalogueDirectory asks about a node once a second, and not once it is up to date", async () => {
  const scene = new Scene();
  for (let dial = 0; dial < 5; dial++) scene.directory.judge(B, OTHER_KEY);
  assert.deepEqual(scene.asked, [B]);
  await scene.clock.advance(1_000);
  scene.directory.judge(B, OTHER_KEY);
  assert.deepEqual(scene.asked, [B, B]);
  scene.leader = true;
  scene.read.resolve();
  scene.directory.lookAtLeader();
  await turn();
  await scene.clock.advance(1_000);
  scene.directory.judge(B, OTHER_KEY);
  assert.deepEqual(scene.asked, [B, B]);
});

Deno.test("CatalogueDirectory looks again after a read that no quorum stood behind", async () => {
  const scene = new Scene();
  scene.leader = true;
  scene.read.reject(new Error("no quorum"));
  scene.directory.lookAtLeader();
  await turn();
  assert.equal(scene.judgedAgain, 0);
  scene.read = Promise.withResolvers();
  scene.read.resolve();
  await scene.clock.advance(1_000);
  await turn();
  assert.equal(scene.judgedAgain, 1);
});

Deno.test("CatalogueDirectory believes entries that are not applied yet, a revocation above all", () => {
  const scene = new Scene();
  scene.unapplied.set(B, OTHER_KEY);
  assert.equal(scene.directory.judge(B, OTHER_KEY), "admitted");
  scene.unapplied.set(A, "revoked");
  assert.equal(scene.directory.judge(A, KEY), "revoked");
});

Deno.test("CatalogueDirectory takes a joiner's first members until it has a catalogue of its own", async () => {
  const scene = new Scene([{ nodeId: B, publicKey: OTHER_KEY }]);
  assert.equal(scene.directory.judge(B, OTHER_KEY), "admitted");
  scene.leader = true;
  scene.read.resolve();
  scene.directory.lookAtLeader();
  await turn();
  assert.equal(scene.dropped, 1);
  assert.equal(scene.directory.judge(B, OTHER_KEY), "unknown");
});
