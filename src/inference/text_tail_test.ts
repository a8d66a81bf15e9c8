import assert from "node:assert/strict";
import { failureLines, TextTail } from "./text_tail.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("TextTail keeps the end", () => {
  const tail = new TextTail(5);
  for (const chunk of ["abc", "", "defgh", "i"]) tail.push(bytes(chunk));
  assert.equal(tail.text(), "efghi");
});

Deno.test("failureLines() shows the last distinct lines that speak of failure", () => {
  const text = "loaded meta data\nerror: one\nerror: one\nprint_info: n_ctx\nfailed to load\n";
  assert.equal(failureLines(text), "error: one; failed to load");
  assert.equal(failureLines("all is well\n"), "");
});

Deno.test("failureLines() leaves out what every good load says", () => {
  const text = "set_abort_callback: call\ntensor 'x' cannot be used with preferred buffer type A\n";
  assert.equal(failureLines(text), "");
});

Deno.test("failureLines() names files without their folders", () => {
  const shown = (line: string) => failureLines(`error: ${line}`);
  assert.equal(
    shown("no model in /home/ada/.odist/models/a.gguf, sorry"),
    "error: no model in a.gguf, sorry",
  );
  assert.equal(shown("'/tmp/a.gguf'"), "error: 'a.gguf'");
  assert.equal(shown("C:\\Users\\ada\\a.gguf"), "error: a.gguf");
  assert.equal(shown("1/2 parts, 3 tokens/s"), "error: 1/2 parts, 3 tokens/s");
});
