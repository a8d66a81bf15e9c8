import assert from "node:assert/strict";
import { join } from "node:path";
import type { NodeId } from "../base/mod.ts";
import { fileAt } from "../storage/mod.ts";
import { PeerBook } from "./peer_book.ts";

const A = "00000000000000aa" as NodeId;
const B = "00000000000000bb" as NodeId;

Deno.test("PeerBook remembers over a restart, and whom it heard of last first", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const book = await PeerBook.open(fileAt(join(folder, "peers.json")));
    book.note(A, "a:1");
    book.note(B, "b:1");
    book.note(A, "a:2");
    book.note(B, "");
    await book.close();

    const again = await PeerBook.open(fileAt(join(folder, "peers.json")));
    assert.deepEqual(again.others(B), [{ nodeId: A, address: "a:2" }]);
    assert.deepEqual(again.others("cc" as NodeId).map(({ nodeId }) => nodeId), [A, B]);
    again.note("00000000000000cc" as NodeId, "[fe80::1]:4");
    assert.deepEqual(["a", "fe80::1", "a:2", ""].map((host) => again.knowsHost(host)), [
      true,
      true,
      false,
      false,
    ]);
    again.forget(A);
    assert.equal(again.knowsHost("a"), false);
    await again.close();
    assert.equal((await PeerBook.open(fileAt(join(folder, "peers.json")))).find(A), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("PeerBook takes a damaged file for an empty one, and nothing from it that is no address", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (
      const text of ["{", "null", '{"x":"a:1"}', `{"${A}":5}`, `{"${A}":"${"a".repeat(200)}"}`]
    ) {
      await Deno.writeTextFile(join(folder, "peers.json"), text);
      assert.deepEqual((await PeerBook.open(fileAt(join(folder, "peers.json")))).others(B), []);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
