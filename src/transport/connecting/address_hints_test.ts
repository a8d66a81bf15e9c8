import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { AddressHints } from "./address_hints.ts";

const [A, B] = ["00000000000000aa", "00000000000000bb"] as [NodeId, NodeId];

function scene() {
  const clock = { nowMs: 0 };
  return { clock, hints: new AddressHints(() => clock.nowMs) };
}

Deno.test("an address of a user is tried for each member, until one was found there", () => {
  const { clock, hints } = scene();
  hints.add("10.0.0.1:1");
  assert.deepEqual([hints.of(A), hints.of(B)], [["10.0.0.1:1"], ["10.0.0.1:1"]]);
  hints.noteFound("10.0.0.1:1", A);
  assert.deepEqual([hints.of(A), hints.of(B)], [["10.0.0.1:1"], []]);
  clock.nowMs = 30_000;
  assert.deepEqual(hints.of(B), ["10.0.0.1:1"], "who was there may have moved");
  hints.noteFound("10.0.0.9:1", A);
  assert.deepEqual(hints.of(A), ["10.0.0.1:1"], "what was no hint becomes none");
});

Deno.test("what is said of one member is tried for that one alone, the latest first", () => {
  const { hints } = scene();
  for (const host of [1, 2, 3, 2]) hints.add(`10.0.0.${host}:1`, A);
  assert.deepEqual([hints.of(A), hints.of(B)], [["10.0.0.2:1", "10.0.0.3:1"], []]);
  for (const host of [4, 5, 5]) hints.add(`10.0.0.${host}:1`, A);
  assert.deepEqual(hints.of(A), ["10.0.0.5:1", "10.0.0.4:1"], "said twice is said once");
  hints.add("10.0.0.9:1");
  assert.deepEqual(hints.of(A).at(0), "10.0.0.5:1", "before those of anybody");
});

Deno.test("a flood of words pushes no address of the user out", () => {
  const { hints } = scene();
  hints.add("10.0.0.1:1");
  for (let port = 1; port < 2_000; port++) {
    hints.add(`10.9.9.9:${port}`, port.toString(16).padStart(16, "0") as NodeId);
  }
  assert.deepEqual(hints.of(A).at(-1), "10.0.0.1:1");
  const oldest = (1).toString(16).padStart(16, "0") as NodeId;
  assert.deepEqual(hints.of(oldest), ["10.0.0.1:1"], "nor does it fill the memory");
  for (let port = 1; port < 20; port++) hints.add(`10.8.8.8:${port}`);
  assert.equal(hints.of(B).filter((address) => !address.startsWith("10.9")).length, 8);
});
