import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { chooseHeir } from "./mod.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => digit.repeat(16) as NodeId) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];
const peer = (id: NodeId, match: number, recentlyActive = true) => ({ id, match, recentlyActive });

Deno.test("chooseHeir() takes the voter that lacks least, then the lowest id", () => {
  const voters = [A, B, C];
  assert.equal(chooseHeir(A, { voters, peers: [peer(A, 9), peer(B, 5), peer(C, 7)] }), C);
  assert.equal(chooseHeir(A, { voters, peers: [peer(A, 9), peer(C, 7), peer(B, 7)] }), B);
});

Deno.test("chooseHeir() takes no learner, nobody silent, nobody of whom nothing is known, and not itself", () => {
  const peers = [peer(A, 9), peer(B, 8, false), peer(C, 0), peer(D, 9)];
  assert.equal(chooseHeir(A, { voters: [A, B, C], peers }), undefined);
  assert.equal(chooseHeir(A, { voters: [A], peers: [peer(A, 9)] }), undefined);
});
