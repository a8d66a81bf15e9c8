import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { MemberRow } from "../../core/cluster/mod.ts";
import { CatalogueDirectory } from "./directory.ts";

const NODE = "0123456789abcdef" as NodeId;
const ROW: MemberRow = {
  nodeId: NODE,
  publicKey: new Uint8Array(91).fill(1),
  label: "n1",
  standing: "admitted",
  changedAtMs: 0,
  revision: 1,
};

Deno.test("A directory gives dialers the key of the catalogue's row, and strangers the benefit of the doubt", () => {
  const rows = { findMember: (id: NodeId) => id === NODE ? ROW : undefined, members: () => [ROW] };
  const stranger = "fedcba9876543210" as NodeId;
  let current = false;
  const directory = new CatalogueDirectory({ rows: () => rows, isCurrent: () => current });
  assert.deepEqual(directory.findKey(NODE), ROW.publicKey);
  assert.equal(directory.findKey(stranger), undefined);
  assert.equal(directory.judge(stranger, new Uint8Array(91)), "admitted");
  current = true;
  assert.equal(directory.judge(stranger, new Uint8Array(91)), "unknown");
});
