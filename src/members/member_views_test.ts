import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import { manifestPrefixOf } from "../protocol/mod.ts";
import { MemberViews, type MemberViewsParts } from "./member_views.ts";

const DIGEST = "d".repeat(64);
const OTHER = "e".repeat(64);
const idOf = (index: number) => index.toString(16).padStart(16, "0") as NodeId;

/** Views of so many members, and how often each was looked at. */
function viewsOf(memberCount: number) {
  const held = new Map<NodeId, Set<string>>();
  const seen = { looks: 0, revision: 0, appliedIndex: 1 };
  const rows = Array.from({ length: memberCount }, (_, index) => ({
    ...{ nodeId: idOf(index), label: `n${index}`, standing: "admitted" },
  }));
  const catalogue = {
    get appliedIndex() {
      return seen.appliedIndex;
    },
    members: () => rows,
    findSetting: () => undefined,
  } as unknown as Catalogue;
  const views = new MemberViews({
    nodeId: idOf(0),
    group: { catalogue },
    membership: { find: () => ({ standing: "alive", address: "a:1" }) },
    gossip: {
      get inventoryRevision() {
        return seen.revision;
      },
      find: (nodeId: NodeId) => {
        seen.looks++;
        return {
          inventory: { prefixes: held.get(nodeId) ?? new Set() },
          ...{ load: undefined, exact: [], prefixes: new Map(), loadHeardMs: 0 },
        };
      },
    },
    addressOf: () => "a:1",
    clock: { monotonicMs: () => 0 },
  } as unknown as MemberViewsParts);
  const hold = (index: number, digest: string) => {
    held.set(idOf(index), new Set([manifestPrefixOf(digest)]));
    seen.revision++;
  };
  const names = (digest: string) => views.holders(digest).map(({ name }) => name);
  return { views, seen, hold, names, rows };
}

Deno.test("MemberViews looks at holders alone for a request, however many members there are", () => {
  const { seen, hold, names } = viewsOf(1_000);
  hold(7, DIGEST);
  hold(9, DIGEST);
  assert.deepEqual(names(DIGEST), ["n7", "n9"]);
  const before = seen.looks;
  for (let request = 0; request < 100; request++) names(DIGEST);
  // What it told, and whether it takes anything.
  assert.ok(seen.looks - before <= 100 * 2 * 2, `${seen.looks - before} looks`);
});

Deno.test("MemberViews knows at once who holds a model anew, and who belongs no more", () => {
  const { seen, hold, names, rows } = viewsOf(5);
  assert.deepEqual(names(DIGEST), []);
  hold(2, DIGEST);
  assert.deepEqual(names(DIGEST), ["n2"]);
  hold(3, OTHER);
  assert.deepEqual([names(DIGEST), names(OTHER)], [["n2"], ["n3"]]);
  hold(2, OTHER);
  assert.deepEqual([names(DIGEST), names(OTHER)], [[], ["n2", "n3"]]);
  rows.splice(2, 1);
  seen.appliedIndex++;
  assert.deepEqual(names(OTHER), ["n3"]);
});
