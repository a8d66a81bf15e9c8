import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { MemberRow } from "../../core/catalogue/mod.ts";
import { CatalogueDirectory, MemberWatch } from "./directory.ts";

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

Deno.test("CatalogueDirectory takes strangers only while the catalogue may be behind", () => {
  const rows = [row(A)];
  let isCurrent = false;
  const directory = new CatalogueDirectory({
    rows: () => ({
      findMember: (nodeId) => rows.find((it) => it.nodeId === nodeId),
      members: () => rows,
    }),
    isCurrent: () => isCurrent,
  });
  const otherKey = new Uint8Array(40).fill(2);
  assert.equal(directory.judge(A, KEY), "admitted");
  assert.equal(directory.judge(A, otherKey), "key_mismatch");
  assert.equal(directory.judge(B, otherKey), "admitted");
  isCurrent = true;
  assert.equal(directory.judge(B, otherKey), "unknown");
});
