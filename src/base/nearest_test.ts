import assert from "node:assert/strict";
import { findNearest } from "./nearest.ts";

Deno.test("findNearest names what was meant, and nothing when nothing is close", () => {
  const commands = ["serve", "run", "list", "show", "stop"];
  assert.equal(findNearest("serv", commands), "serve");
  assert.equal(findNearest("srun", commands), "run");
  assert.equal(findNearest("lsit", commands), "list");
  assert.equal(findNearest("shwo", commands), "show");
  assert.equal(findNearest("deploy", commands), undefined);
  assert.equal(findNearest("", commands), undefined);
  assert.equal(findNearest("x", ["?", "y"]), undefined);
});

Deno.test("findNearest takes a long enough beginning for the whole word", () => {
  assert.equal(findNearest("keep", ["max-queue", "keep-alive"]), "keep-alive");
});
