import assert from "node:assert/strict";
import { isEdgeError, type NodeId } from "../base/mod.ts";
import { foundingSnapshot, limitEntries } from "../core/raft/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import { type CatalogueCommand, encodeCommand, encodeJoinToken } from "../protocol/mod.ts";
import { openDisk, openWal } from "../storage/mod.ts";
import { createAuthority, openIdentity, seedDialer } from "../transport/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { MemoryFiles } from "../../tests/harness/memory_files.ts";
import { joinIfWished, type JoinParts } from "./join.ts";

const NOW_MS = 1_800_000_000_000;
const OTHER = "00000000000000bb" as NodeId;

/** A node that is of no cluster yet, on a folder of its own. */
class Scene implements AsyncDisposable {
  readonly #folder: string;
  readonly parts: JoinParts;

  private constructor(folder: string, parts: JoinParts) {
    this.#folder = folder;
    this.parts = parts;
  }

  static async open(wish: Partial<JoinParts["wish"]>): Promise<Scene> {
    const folder = await Deno.makeTempDir();
    const clock = new HandClock();
    const openLog = async (owner: NodeId) =>
      await openWal(await openDisk(folder), { owner, limitEntries });
    const stored = await openIdentity(new MemoryFiles(), { name: "n", nowMs: () => NOW_MS });
    return new Scene(folder, {
      stored,
      wish: { addresses: [], discover: false, token: "", ...wish },
      name: "n",
      clock,
      dial: seedDialer({ clock }),
      log: { log() {} },
      openLog,
      dropLog: () => Promise.resolve(),
      isMember: false,
      isOver: false,
      signal: new AbortController().signal,
    });
  }

  /** Makes it a founder whose log holds these commands. */
  async found(commands: readonly CatalogueCommand[]): Promise<void> {
    const { stored, openLog } = this.parts;
    await stored.found();
    const store = await openLog(stored.nodeId);
    const state = Catalogue.empty();
    state.apply(1, new Uint8Array(0));
    const snapshot = foundingSnapshot([stored.nodeId], state.snapshot());
    const hardState = { term: 1, vote: undefined, commit: 1 };
    await store.write({ snapshot, entries: [], hardState });
    const entries = commands.map((command, position) => ({
      kind: "command" as const,
      data: encodeCommand({ command, request: undefined }),
      term: 1,
      index: 2 + position,
    }));
    await store.write({ snapshot: undefined, entries, hardState: undefined });
    await store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function admit(nodeId: NodeId, fill: number): CatalogueCommand {
  const publicKey = new Uint8Array(40).fill(fill);
  return { kind: "admit_member", nodeId, publicKey, label: "x", tokenId: undefined, atMs: 1 };
}

async function tokenOf(): Promise<string> {
  const { publicKey } = await createAuthority(NOW_MS);
  return encodeJoinToken({
    tokenId: "t",
    secret: new Uint8Array(16),
    authorityKey: publicKey as Uint8Array<ArrayBuffer>,
  });
}

function refusedWith(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => isEdgeError(error) && error.code === code && text.test(error.message);
}

const SEED = { hostname: "127.0.0.1", port: 1 };

Deno.test("joinIfWished() leaves a node alone that was not told to join", async () => {
  await using scene = await Scene.open({});
  assert.equal(await joinIfWished(scene.parts), undefined);
});

Deno.test("joinIfWished() wants a token of a node that is of no cluster or alone in its own", async () => {
  await using fresh = await Scene.open({ addresses: [SEED] });
  await assert.rejects(
    joinIfWished(fresh.parts),
    refusedWith("join_refused", /without a token/),
  );
  await using lone = await Scene.open({ addresses: [SEED] });
  await lone.found([admit(lone.parts.stored.nodeId, 1)]);
  await assert.rejects(joinIfWished(lone.parts), refusedWith("join_refused", /without a token/));
});

Deno.test("joinIfWished() lets a founder with others start again by its old command line", async () => {
  await using scene = await Scene.open({ addresses: [SEED] });
  await scene.found([admit(scene.parts.stored.nodeId, 1), admit(OTHER, 2)]);
  assert.equal(await joinIfWished(scene.parts), undefined);
});

Deno.test("joinIfWished() refuses to give up a cluster with members or a catalogue of its own", async () => {
  await using withOthers = await Scene.open({ addresses: [SEED], token: await tokenOf() });
  await withOthers.found([admit(OTHER, 2)]);
  await assert.rejects(joinIfWished(withOthers.parts), refusedWith("conflict", /leave it first/));

  await using withRows = await Scene.open({ addresses: [SEED], token: await tokenOf() });
  await withRows.found([{ kind: "put_setting", key: "k", value: "v", expected: undefined }]);
  await assert.rejects(joinIfWished(withRows.parts), refusedWith("conflict", /1 rows/));
});

Deno.test("joinIfWished() counts nothing as lost that a cluster keeps about its machines", async () => {
  await using scene = await Scene.open({ addresses: [SEED], token: await tokenOf() });
  const { nodeId } = scene.parts.stored;
  const about = { key: `hardware.${nodeId}`, value: "v", expected: undefined };
  await scene.found([admit(nodeId, 1), { kind: "put_setting", ...about }]);
  const signal = AbortSignal.abort(new Error("it joins"));
  await assert.rejects(joinIfWished({ ...scene.parts, signal }), /it joins/);
});

Deno.test("joinIfWished() says what is wrong with a token, and that it needs an address", async () => {
  await using garbled = await Scene.open({ addresses: [SEED], token: "odist-abc" });
  await assert.rejects(joinIfWished(garbled.parts), refusedWith("join_refused", /token/));
  await using nowhere = await Scene.open({ token: await tokenOf() });
  await assert.rejects(joinIfWished(nowhere.parts), refusedWith("join_refused", /--discover/));
});
