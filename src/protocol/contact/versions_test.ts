import assert from "node:assert/strict";
import { MEMBERSHIP_PROTOCOL_VERSION } from "../membership.ts";
import { RAFT_PROTOCOL_VERSION } from "../raft/codec.ts";
import { agreeOnVersions, type SpokenVersions, spokenVersions } from "./versions.ts";

const OWN = "00000000000000aa";
const PEER = "00000000000000bb";

function speaks(wire: readonly [number, number], catalogue: readonly [number, number]) {
  const range = ([min, max]: readonly [number, number]) => ({ min, max });
  return { wire: range(wire), catalogue: range(catalogue) };
}

function agree(own: SpokenVersions, peer: SpokenVersions | undefined) {
  return agreeOnVersions({ nodeId: OWN, speaks: own }, { nodeId: PEER, speaks: peer });
}

Deno.test("two nodes speak the newest version that both know", () => {
  assert.deepEqual(agree(speaks([1, 3], [1, 2]), speaks([2, 5], [2, 4])), {
    kind: "agreed",
    wire: 3,
  });
  assert.deepEqual(agree(speaks([1, 1], [1, 2]), speaks([1, 1], [2, 2])), {
    kind: "agreed",
    wire: 1,
  });
});

Deno.test("where there is none, both versions are named, and the node that has to be updated", () => {
  const text = (own: SpokenVersions, peer: SpokenVersions | undefined) => {
    const agreed = agree(own, peer);
    assert.ok(agreed.kind === "apart");
    return agreed.text;
  };
  assert.equal(
    text(speaks([1, 2], [1, 2]), speaks([3, 4], [1, 2])),
    `node ${OWN} speaks wire versions 1 to 2, node ${PEER} wire versions 3 to 4: ` +
      `update odist on node ${OWN}`,
  );
  // A catalogue that was raised can't be read by whoever does not know its version.
  assert.equal(
    text(speaks([1, 1], [3, 3]), speaks([1, 1], [1, 2])),
    `node ${OWN} speaks catalogue version 3, node ${PEER} catalogue versions 1 to 2: ` +
      `update odist on node ${PEER}`,
  );
  assert.match(text(speaks([2, 2], [1, 2]), undefined), /update odist on node 0{14}bb$/);
});

Deno.test("a program that says nothing of versions speaks what the first ones did", () => {
  assert.deepEqual(agree(spokenVersions(2), undefined), { kind: "agreed", wire: 1 });
});

Deno.test("whoever changes what members send each other changes the version of the wire", () => {
  const { wire } = spokenVersions();
  const parts = { membership: MEMBERSHIP_PROTOCOL_VERSION, raft: RAFT_PROTOCOL_VERSION };
  assert.deepEqual([wire.max, parts], [2, { membership: 1, raft: 1 }]);
});
