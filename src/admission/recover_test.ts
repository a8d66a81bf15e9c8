import assert from "node:assert/strict";
import { type NodeId, StorageError } from "../base/mod.ts";
import { Catalogue, leftBehindOf, recoveriesOf } from "../core/catalogue/mod.ts";
import { foundingSnapshot, limitEntries } from "../core/raft/mod.ts";
import { type CatalogueCommand, encodeCommand } from "../protocol/mod.ts";
import { openDisk, openWal } from "../storage/mod.ts";
import { openIdentity } from "../transport/mod.ts";
import { MemoryFiles } from "../../tests/harness/memory_files.ts";
import { finishRecovery, prepareRecovery, recoveredState } from "./recover.ts";

const NOW_MS = 1_800_000_000_000;
const VOTER = "00000000000000bb" as NodeId;
const THIEF = "00000000000000cc" as NodeId;
const LOG = { log() {} };

function admit(nodeId: NodeId, fill: number): CatalogueCommand {
  const publicKey = new Uint8Array(91).fill(fill);
  return { kind: "admit_member", nodeId, publicKey, label: "x", tokenId: undefined, atMs: 1 };
}

/** A node whose log holds four changes, one of which nobody has told it to be agreed on, and that wished to recover. */
class Scene implements AsyncDisposable {
  files = new MemoryFiles();
  readonly #folder = Deno.makeTempDirSync();
  #clusterId = "";

  static async open(): Promise<Scene> {
    const scene = new Scene();
    const stored = await scene.stored();
    scene.#clusterId = (await stored.found()).identity.clusterId;
    const store = await openWal(await openDisk(scene.#folder), {
      owner: stored.nodeId,
      limitEntries,
    });
    const state = Catalogue.empty();
    state.apply(1, new Uint8Array(0));
    const snapshot = foundingSnapshot([VOTER], state.snapshot());
    await store.write({
      snapshot,
      entries: [],
      hardState: { term: 1, vote: undefined, commit: 1 },
    });
    const entries = [
      admit(VOTER, 2),
      admit(THIEF, 3),
      { kind: "revoke_member", nodeId: THIEF, atMs: 1 } as const,
      { kind: "put_setting", key: "k", value: "v", expected: undefined } as const,
    ].map((command, position) => ({
      kind: "command" as const,
      data: encodeCommand({ command, request: undefined }),
      term: 1,
      index: 2 + position,
    }));
    await store.write({ snapshot: undefined, entries, hardState: undefined });
    await store.close();
    const wish = { name: "n", address: "h:1", nowMs: () => NOW_MS };
    await prepareRecovery({ ...wish, stored, files: scene.files });
    return scene;
  }

  get clusterId(): string {
    return this.#clusterId;
  }

  stored() {
    return openIdentity(this.files, { name: "n", nowMs: () => NOW_MS });
  }

  /** One start, as far as recoveries go. */
  async start() {
    const stored = await this.stored();
    return await finishRecovery({
      stored,
      files: this.files,
      openLog: async () =>
        await openWal(await openDisk(this.#folder), { owner: stored.nodeId, limitEntries }),
      dropLog: async () => {
        await Deno.remove(this.#folder, { recursive: true });
        await Deno.mkdir(this.#folder);
      },
      addressOf: () => "v:1",
      log: LOG,
    });
  }

  async isLogEmpty(): Promise<boolean> {
    const { nodeId: owner } = await this.stored();
    const store = await openWal(await openDisk(this.#folder), { owner, limitEntries });
    await store.close();
    return store.lastIndex() === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function assertFounded(scene: Scene): Promise<void> {
  const { membership, nodeId } = await scene.stored();
  assert.equal(membership?.origin, "founded");
  assert.notEqual(membership.identity.clusterId, scene.clusterId);
  assert.notEqual(membership.signer, undefined, "it can admit others");
  assert.ok(await scene.isLogEmpty());
  const restored = Catalogue.restore(await recoveredState(scene.files) ?? new Uint8Array(0));
  assert.ok(restored.kind === "decoded");
  const catalogue = restored.value;
  assert.equal(catalogue.findSetting("k")?.value, "v", "what may have been acknowledged is kept");
  assert.deepEqual(
    catalogue.members().map((row) => [row.nodeId, row.standing]),
    [[THIEF, "revoked"]],
  );
  const [word, ...more] = recoveriesOf(catalogue);
  assert.deepEqual([word?.recovery.by, word?.recovery.clusterIds], [nodeId, [scene.clusterId]]);
  assert.equal(more.length, 0);
  assert.deepEqual(leftBehindOf(catalogue).map((left) => [left.nodeId, left.address]), [
    [VOTER, "v:1"],
  ]);
}

Deno.test("A recovery founds a cluster with all that the log holds, and keeps whoever was revoked out", async () => {
  await using scene = await Scene.open();
  const { isFresh, isOver } = await scene.start();
  assert.deepEqual([isFresh, isOver], [true, false]);
  await assertFounded(scene);
});

Deno.test("A recovery that dies at any write is carried out by the next start", async () => {
  for (let writes = 0;; writes++) {
    await using scene = await Scene.open();
    scene.files.writesLeft = writes;
    const died = await scene.start().then(() => false, (error) => {
      assert.ok(error instanceof StorageError, String(error));
      return true;
    });
    if (!died) {
      assert.ok(writes > 5, `${writes} writes`);
      break;
    }
    scene.files = scene.files.killProcess();
    assert.equal((await scene.start()).isFresh, true);
    await assertFounded(scene);
  }
});

Deno.test("A recovery whose wish can't be read is not carried out by half", async () => {
  await using scene = await Scene.open();
  scene.files.files.set("recovery.txt", new TextEncoder().encode(`${scene.clusterId}\n!`));
  await assert.rejects(scene.start(), /recovery.txt in the cluster folder is damaged/);
  assert.equal((await scene.stored()).membership?.identity.clusterId, scene.clusterId);
  assert.equal(await scene.isLogEmpty(), false);
});
