import assert from "node:assert/strict";
import type { RouteDecision } from "../core/scheduler/mod.ts";
import { RouteJournal } from "./route_journal.ts";

const DECISION = { runnersUp: [], excluded: [] } as unknown as RouteDecision;

function recorded(journal: RouteJournal, label: string | undefined, requestId: string) {
  const standing = "fresh" as const;
  return journal.record({
    ...{ label, requestId, standing, atMs: 0, model: "m", promptTokens: 1, decision: DECISION },
  });
}

Deno.test("RouteJournal finds all decisions about a request by its label and by its id, oldest first", () => {
  const journal = new RouteJournal();
  recorded(journal, "a", "r1")("queue_full");
  recorded(journal, "b", "r2")("granted");
  recorded(journal, "a", "r1")("granted");
  recorded(journal, undefined, "a")("cancelled");
  const outcomesOf = (name: string) => journal.find(name).map(({ outcome }) => outcome);
  assert.deepEqual(outcomesOf("a"), ["queue_full", "granted", "cancelled"]);
  assert.deepEqual(outcomesOf("r1"), ["queue_full", "granted"]);
  assert.deepEqual(outcomesOf("b"), ["granted"]);
});

Deno.test("RouteJournal forgets the oldest decision of a label and keeps its others", () => {
  const journal = new RouteJournal();
  recorded(journal, "a", "r0")("queue_full");
  for (let number = 1; number < 512; number++) recorded(journal, "b", `r${number}`);
  recorded(journal, "a", "r512")("granted");
  assert.deepEqual(journal.find("r0"), []);
  assert.deepEqual(journal.find("a").map(({ requestId }) => requestId), ["r512"]);
  assert.equal(journal.find("b").length, 511);
  assert.equal(journal.list().length, 512);
});
