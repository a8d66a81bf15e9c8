import assert from "node:assert/strict";
import { printable, printableJson, printableText } from "./mod.ts";

const HOSTILE = "a\x1b]0;pwned\x07b\x9b2Jc\rd\x7fe\u202ef";

Deno.test("printable() leaves nothing that moves a cursor or turns a line", () => {
  assert.equal(printable(HOSTILE), "a\ufffd]0;pwned\ufffdb\ufffd2Jc\ufffdd\ufffde\ufffdf");
  assert.equal(printable("a\nb\tc"), "a\ufffdb\ufffdc");
  assert.equal(printable("ü 漢 👩‍🚀"), "ü 漢 👩‍🚀");
});

Deno.test("printableText() keeps lines, tabs and what texts from right to left need", () => {
  assert.equal(printableText("a\r\n\tb\u200f"), "a\n\tb\u200f");
  assert.equal(printableText(HOSTILE), "a\ufffd]0;pwned\ufffdb\ufffd2Jcd\ufffde\ufffdf");
});

Deno.test("printableJson() escapes what JSON itself would leave, and means the same", () => {
  const value = { [HOSTILE]: [HOSTILE, 1] };
  const text = printableJson(value);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\u202e]/);
  assert.deepEqual(JSON.parse(text), value);
  assert.equal(printableJson({ a: 1 }, 2), '{\n  "a": 1\n}');
  assert.equal(printableJson(undefined), "");
});
