import assert from "node:assert/strict";
import type { ErrorCode, NodeId } from "../../base/mod.ts";
import type { RouteCandidate } from "../scheduler/mod.ts";
import { type SearchOrder, SlotSearch } from "./mod.ts";

const id = (count: number) => String(count).padStart(16, "0") as NodeId;

function candidate(count: number, changes: Partial<RouteCandidate> = {}): RouteCandidate {
  return {
    nodeId: id(count),
    name: "",
    isSelf: false,
    health: "alive",
    drained: false,
    load: undefined,
    sentSinceReport: 0,
    residentTokens: 0,
    ...changes,
  };
}

/** What is asked, and what ends it, when each candidate says what is scripted. */
function play(
  candidates: readonly RouteCandidate[],
  answers: readonly (ErrorCode | "granted" | undefined)[],
  avoid: readonly NodeId[] = [],
): { readonly asked: readonly NodeId[]; readonly last: SearchOrder } {
  const search = new SlotSearch({ promptTokens: 1, memoryBytes: 1, avoid });
  const asked: NodeId[] = [];
  for (const answer of answers) {
    const order = search.step({ kind: "candidates_known", candidates });
    if (order.kind !== "ask") return { asked, last: order };
    asked.push(order.route.nodeId);
    const last = search.step(
      answer === "granted" ? { kind: "granted" } : { kind: "refused", code: answer },
    );
    if (last.kind !== "look_around") return { asked, last };
  }
  return { asked, last: search.step({ kind: "candidates_known", candidates }) };
}

Deno.test("SlotSearch asks each candidate once, the best first, until one grants", () => {
  const three = [candidate(3), candidate(1), candidate(2)];
  const { asked, last } = play(three, ["queue_full", "peer_lost", "granted"]);
  assert.deepEqual(asked, [id(1), id(2), id(3)]);
  assert.deepEqual(last, { kind: "hold_slot" });
});

Deno.test("SlotSearch goes elsewhere for what another node need not share, and passes the rest on", () => {
  const elsewhere: readonly ErrorCode[] = [
    "queue_full",
    "stopping",
    "model_too_large",
    "model_not_found",
    "load_failed",
    "load_timeout",
    "peer_lost",
    "node_unreachable",
    "runner_lost",
    "peer_refused",
    "malformed_frame",
    "unknown_version",
    "disk_full",
    "corrupt_file",
    "storage_failed",
  ];
  for (const code of elsewhere) {
    assert.equal(play([candidate(1), candidate(2)], [code, "granted"]).asked.length, 2, code);
  }
  for (const code of ["invalid_request", "prompt_too_long", undefined] as const) {
    const { asked, last } = play([candidate(1), candidate(2)], [code]);
    assert.deepEqual([asked.length, last], [1, { kind: "pass_on" }], code);
  }
});

Deno.test("SlotSearch asks eight nodes at most", () => {
  const many = Array.from({ length: 12 }, (_, count) => candidate(count + 1));
  const { asked, last } = play(many, new Array(12).fill("stopping"));
  assert.equal(asked.length, 8);
  assert.equal(last.kind, "give_up");
});

Deno.test("SlotSearch tells to come back later, then what is wrong with the model, then that nobody can be reached", () => {
  const three = [candidate(1), candidate(2), candidate(3)];
  const told = (answers: readonly ErrorCode[]) => {
    const { last } = play(three, answers);
    assert.ok(last.kind === "give_up");
    return [last.told, last.isUnreachable];
  };
  assert.deepEqual(told(["peer_lost", "model_too_large", "queue_full"]), [2, false]);
  assert.deepEqual(told(["peer_lost", "model_too_large", "runner_lost"]), [1, false]);
  assert.deepEqual(told(["peer_lost", "runner_lost", "peer_lost"]), [0, true]);
  const { last } = play([], ["granted"]);
  assert.ok(last.kind === "give_up");
  assert.deepEqual([last.told, last.isUnreachable], [undefined, true]);
});

Deno.test("SlotSearch is patient with a node that no sound one could replace", () => {
  const patience = (others: readonly RouteCandidate[], avoid: readonly NodeId[] = []) => {
    const search = new SlotSearch({ promptTokens: 1, memoryBytes: 1, avoid });
    const order = search.step({
      kind: "candidates_known",
      candidates: [candidate(1), ...others],
    });
    return order.kind === "ask" && order.isReplaceable;
  };
  assert.equal(patience([]), false);
  assert.equal(patience([candidate(2)]), true);
  assert.equal(patience([candidate(2, { health: "suspect" })]), false);
  assert.equal(patience([candidate(2, { drained: true })]), false);
  assert.equal(patience([candidate(2)], [id(2)]), false);
});

Deno.test("SlotSearch takes a node that lost the request only when there is no other", () => {
  const both = [candidate(1), candidate(2)];
  assert.deepEqual(play(both, ["granted"], [id(1)]).asked, [id(2)]);
  assert.deepEqual(play([candidate(1)], ["granted"], [id(1)]).asked, [id(1)]);
});

Deno.test("SlotSearch asks one node at a time, and hears only whom it asked", () => {
  const search = new SlotSearch({ promptTokens: 1, memoryBytes: 1, avoid: [] });
  assert.throws(() => search.step({ kind: "granted" }), { name: "InvariantError" });
  search.step({ kind: "candidates_known", candidates: [candidate(1)] });
  assert.throws(
    () => search.step({ kind: "candidates_known", candidates: [candidate(1)] }),
    { name: "InvariantError" },
  );
});

Deno.test("SlotSearch waits for no silent node where those who are there could hold the model together", () => {
  const candidates = [candidate(1), candidate(2), candidate(3, { health: "suspect" })];
  const endOf = (mayBeSplit: boolean, answers: readonly ErrorCode[]) => {
    const search = new SlotSearch({ promptTokens: 1, memoryBytes: 1, avoid: [], mayBeSplit });
    for (const code of answers) {
      const order = search.step({ kind: "candidates_known", candidates });
      assert.equal(order.kind, "ask");
      search.step({ kind: "refused", code });
    }
    const order = search.step({ kind: "candidates_known", candidates });
    return order.kind === "give_up" ? { told: order.told } : order.kind;
  };
  assert.deepEqual(endOf(true, ["peer_lost", "model_too_large"]), { told: 1 });
  assert.equal(endOf(false, ["peer_lost", "model_too_large"]), "ask");
  assert.equal(endOf(true, ["peer_lost", "runner_lost"]), "ask");
  assert.equal(endOf(true, ["queue_full", "model_too_large"]), "ask");
});
