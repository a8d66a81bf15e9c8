import assert from "node:assert/strict";
import type { CatalogueCommand } from "../protocol/mod.ts";
import { Attribution } from "./attribution.ts";

const COMMAND: CatalogueCommand = { kind: "delete_token", tokenId: "t" };

Deno.test("a change is its maker's, through whatever it takes to make it", async () => {
  const attribution = new Attribution("attic", { nowMs: () => 7 });
  const steps: (string | undefined)[] = [];
  const note = () => steps.push(attribution.originOf(COMMAND)?.who);
  async function* work() {
    note();
    await new Promise((resolve) => setTimeout(resolve));
    note();
    yield 1;
    queueMicrotask(note);
    yield 2;
  }
  const gate = Promise.withResolvers<void>();
  const left = attribution.attribute({ who: "key k", from: "10.0.0.1" }, async () => {
    for await (const _ of work());
    await gate.promise;
    note();
  });
  note();
  gate.resolve();
  await left;
  assert.deepEqual(steps, ["key k", "member attic", "key k", "key k", "key k"]);
});

Deno.test("what nobody asks for has no maker, and long names are cut at a character", () => {
  const attribution = new Attribution("attic", { nowMs: () => 7 });
  assert.equal(attribution.originOf({ kind: "raise_schema", schema: 2 }), undefined);
  assert.deepEqual(attribution.originOf(COMMAND), { who: "member attic", from: "", atMs: 7 });
  const by = { who: "ü".repeat(400), from: "€".repeat(100) };
  const origin = attribution.attribute(by, () => attribution.originOf(COMMAND));
  assert.equal(origin?.who, "ü".repeat(192));
  assert.equal(origin?.from, "€".repeat(42));
});
