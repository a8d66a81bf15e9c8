import assert from "node:assert/strict";
import { LineAssembler, type LineEnding } from "./line_assembler.ts";

/** Inputs that the lines complete; a line that ends with ⏎ was ended by Ctrl-J. */
function inputsOf(...typed: readonly string[]) {
  const assembler = new LineAssembler();
  const inputs = typed.map((line) => {
    const ending: LineEnding = line.endsWith("⏎") ? "soft" : "enter";
    return assembler.push(line.replace(/⏎$/, ""), ending);
  });
  return inputs.filter((input) => input !== undefined);
}

Deno.test("LineAssembler sends a line on Enter and nothing for an empty one", () => {
  assert.deepEqual(inputsOf("", "  ", "hello"), [{ kind: "message", text: "hello" }]);
});

Deno.test("LineAssembler tells commands from messages", () => {
  assert.deepEqual(inputsOf("/set verbose ", "/?", "/tmp/photo.png is nice", "a /bye"), [
    { kind: "command", text: "/set verbose" },
    { kind: "command", text: "/?" },
    { kind: "message", text: "/tmp/photo.png is nice" },
    { kind: "message", text: "a /bye" },
  ]);
});

Deno.test("LineAssembler joins the lines between triple quotes", () => {
  assert.deepEqual(inputsOf('"""one', "two", "", 'three"""'), [
    { kind: "message", text: "one\ntwo\n\nthree" },
  ]);
  assert.deepEqual(inputsOf('"""', "one", '"""'), [{ kind: "message", text: "one" }]);
  assert.deepEqual(inputsOf('"""one line"""'), [{ kind: "message", text: "one line" }]);
  assert.deepEqual(inputsOf('"""', "/bye", '"""  '), [{ kind: "message", text: "/bye" }]);
  assert.deepEqual(inputsOf('"""', '"""'), []);
});

Deno.test("LineAssembler takes a block as system text", () => {
  assert.deepEqual(inputsOf('/set system """Be', 'brief."""'), [
    { kind: "command", text: "/set system Be\nbrief." },
  ]);
});

Deno.test("LineAssembler keeps lines that ended softly in one message", () => {
  assert.deepEqual(inputsOf("one⏎", "/two⏎", "three"), [
    { kind: "message", text: "one\n/two\nthree" },
  ]);
  assert.deepEqual(inputsOf('"""a⏎', 'b"""⏎', "c"), [{ kind: "message", text: "a\nb\nc" }]);
});

Deno.test("LineAssembler forgets an unfinished input when cleared", () => {
  const assembler = new LineAssembler();
  assembler.push('"""one', "enter");
  assert(assembler.isContinuing);
  assembler.clear();
  assert(!assembler.isContinuing);
  assert.deepEqual(assembler.push("two", "enter"), { kind: "message", text: "two" });
});
