import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import { type CatalogueCommand, encodeCommand, type Entry } from "../protocol/mod.ts";
import { UnappliedMembers } from "./unapplied_members.ts";

const A = "00000000000000aa" as NodeId;
const B = "00000000000000bb" as NodeId;
const KEY = new Uint8Array(40).fill(1);

function admit(nodeId: NodeId): CatalogueCommand {
  return { kind: "admit_member", nodeId, publicKey: KEY, label: "x", tokenId: undefined, atMs: 1 };
}

function logOf(commands: readonly CatalogueCommand[]) {
  const entries = commands.map((command, at): Entry => ({
    term: 1,
    index: at + 1,
    kind: "command",
    data: encodeCommand({ request: undefined, command }),
  }));
  let reads = 0;
  return {
    get reads() {
      return reads;
    },
    firstIndex: () => 1,
    lastIndex: () => entries.length,
    term: () => 1,
    entries: (low: number, high: number) => (reads++, entries.slice(low - 1, Math.min(low, high))),
    push: (command: CatalogueCommand) =>
      entries.push({
        term: 1,
        index: entries.length + 1,
        kind: "command",
        data: encodeCommand({ request: undefined, command }),
      }),
  };
}

Deno.test("UnappliedMembers finds who came and who was revoked behind the applied index alone", () => {
  let appliedIndex = 0;
  const log = logOf([admit(A), { kind: "revoke_member", nodeId: B, atMs: 1 }]);
  const members = new UnappliedMembers(log, () => appliedIndex);
  assert.deepEqual(members.find(A), KEY);
  assert.equal(members.find(B), "revoked");
  appliedIndex = 2;
  assert.equal(members.find(A), undefined);
  log.push({ kind: "remove_member", nodeId: A });
  log.push(admit(B));
  assert.equal(members.find(A), undefined);
  assert.deepEqual(members.find(B), KEY);
});

Deno.test("UnappliedMembers reads a log that has not changed once, however often strangers ask", () => {
  const log = logOf([admit(A)]);
  const members = new UnappliedMembers(log, () => 0);
  for (let dial = 0; dial < 100; dial++) members.find(B);
  assert.equal(log.reads, 1);
});
