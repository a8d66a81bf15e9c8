import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { AUTHORITY_KEY, isRotationDue, judgeJoin, judgeMember, type MemberRow } from "./mod.ts";

const id = (digit: string) => digit.repeat(16) as NodeId;
const key = (byte: number) => new Uint8Array(91).fill(byte);

function rows(...list: readonly MemberRow[]) {
  return {
    findMember: (nodeId: NodeId) => list.find((row) => row.nodeId === nodeId),
    members: () => list,
  };
}

function row(digit: string, byte: number, standing: MemberRow["standing"] = "admitted"): MemberRow {
  const base = { label: "n", changedAtMs: 0, revision: 1 };
  return { ...base, nodeId: id(digit), publicKey: key(byte), standing };
}

const ROWS = rows(row("1", 1), row("2", 2, "revoked"));

for (
  const [claim, digit, byte, alone, vouchedFor] of [
    ["a member with its key", "1", 1, "admitted", "admitted"],
    ["a member with another key", "1", 9, "key_mismatch", "key_mismatch"],
    ["a revoked member", "2", 2, "revoked", "revoked"],
    ["a revoked member with another key", "2", 9, "revoked", "revoked"],
    ["a stranger with a revoked key", "3", 2, "revoked", "revoked"],
    ["a stranger", "3", 3, "unknown", "admitted"],
  ] as const
) {
  Deno.test(`judgeMember() finds ${claim} ${alone}, and ${vouchedFor} when a member vouches for its key`, () => {
    const peer = { nodeId: id(digit), publicKey: key(byte) };
    assert.equal(judgeMember(ROWS, peer, undefined), alone);
    assert.equal(judgeMember(ROWS, peer, key(byte)), vouchedFor);
  });
}

Deno.test("judgeMember() refuses a stranger whose key is not the one that was vouched for", () => {
  const peer = { nodeId: id("3"), publicKey: key(3) };
  assert.equal(judgeMember(ROWS, peer, key(4)), "key_mismatch");
});

const OWN = "1".repeat(16);
const OTHER = "2".repeat(16);
const LONE = {
  cluster: { clusterId: OWN, origin: "founded" },
  otherMembers: 0,
  catalogueRows: 0,
  isOver: false,
} as const;

Deno.test("A node of no cluster, and a founder that is alone and has nothing, may join", () => {
  assert.equal(judgeJoin({ ...LONE, cluster: undefined }, OTHER).kind, "join");
  assert.equal(judgeJoin(LONE, OTHER).kind, "join");
});

Deno.test("A member whose cluster was recovered elsewhere may join, whatever it had there", () => {
  const node = { ...LONE, otherMembers: 4, catalogueRows: 9, isOver: true };
  assert.equal(judgeJoin(node, OTHER).kind, "join");
  assert.equal(judgeJoin({ ...node, isOver: false }, OTHER).kind, "refused");
});

Deno.test("A member need not join its own cluster again", () => {
  assert.equal(judgeJoin({ ...LONE, otherMembers: 4 }, OWN).kind, "member_already");
});

Deno.test("A node with other members, with a catalogue, or that joined before is kept from losing it", () => {
  const joined = { clusterId: OWN, origin: "joined" } as const;
  for (
    const node of [
      { ...LONE, otherMembers: 1 },
      { ...LONE, catalogueRows: 1 },
      { ...LONE, cluster: joined },
    ]
  ) {
    const judged = judgeJoin(node, OTHER);
    assert.ok(judged.kind === "refused");
    assert.match(judged.reason, new RegExp(`${OWN}.*${OTHER}`));
  }
});

function facts(authority: number | undefined, revoked: readonly number[]) {
  const members = [1, ...revoked].map((revision, at): MemberRow => ({
    nodeId: `${at}`.padStart(16, "0") as NodeId,
    publicKey: new Uint8Array(40),
    label: "x",
    standing: at === 0 ? "admitted" : "revoked",
    changedAtMs: 1,
    revision,
  }));
  const row = authority === undefined ? undefined : { key: "", value: "", revision: authority };
  return {
    members: () => members,
    findSetting: (key: string) => key === AUTHORITY_KEY ? row : undefined,
  };
}

Deno.test("A new authority is due after each revocation, and not once it came", () => {
  assert.equal(isRotationDue(facts(undefined, [])), false);
  assert.equal(isRotationDue(facts(undefined, [5])), true);
  assert.equal(isRotationDue(facts(6, [5])), false);
  assert.equal(isRotationDue(facts(6, [5, 7])), true);
});
