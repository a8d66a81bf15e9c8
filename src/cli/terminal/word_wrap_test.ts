import assert from "node:assert/strict";
import fc from "fast-check";
import { displayWidth } from "../../base/mod.ts";
import { WordWrap } from "./word_wrap.ts";

/** What a terminal shows after the escapes were obeyed. */
function screenOf(written: string): string[] {
  const lines = [""];
  // deno-lint-ignore no-control-regex
  for (const part of written.split(/(\x1b\[\d+D\x1b\[K|\n)/)) {
    const last = lines.length - 1;
    // deno-lint-ignore no-control-regex
    const back = /^\x1b\[(\d+)D/.exec(part);
    if (back !== null) {
      let kept = lines[last] ?? "";
      const cells = displayWidth(kept) - Number(back[1]);
      while (displayWidth(kept) > cells) kept = [...kept].slice(0, -1).join("");
      lines[last] = kept;
    } else if (part === "\n") lines.push("");
    else lines[last] += part;
  }
  return lines;
}

function wrap(text: string, columns: number, pieceChars: number): string[] {
  const wrapper = new WordWrap(columns);
  let written = "";
  for (let at = 0; at < text.length; at += pieceChars) {
    written += wrapper.push(text.slice(at, at + pieceChars));
  }
  return screenOf(written);
}

Deno.test("WordWrap breaks lines at words, however the text arrives", () => {
  const text = "The quick brown fox jumps over the lazy dog";
  for (const pieceChars of [1, 3, 100]) {
    assert.deepEqual(wrap(text, 20, pieceChars).map((line) => line.trimEnd()), [
      "The quick brown",
      "fox jumps over the",
      "lazy dog",
    ]);
  }
});

Deno.test("WordWrap keeps the text's own lines and cuts a word longer than a line", () => {
  assert.deepEqual(wrap("a\n\nb", 20, 1), ["a", "", "b"]);
  assert.deepEqual(wrap("x".repeat(40), 20, 1).map((line) => line.length), [18, 18, 4]);
});

Deno.test("WordWrap counts cells of wide letters", () => {
  assert.deepEqual(wrap("模型模型模型模型 模型模型", 20, 1).map((line) => line.trimEnd()), [
    "模型模型模型模型",
    "模型模型",
  ]);
});

Deno.test("WordWrap loses nothing and never fills a line", () => {
  const letters = fc.constantFrom("a", "b", " ", "\n", "模");
  fc.assert(fc.property(fc.array(letters, { maxLength: 200 }), (chars) => {
    const text = chars.join("");
    const lines = wrap(text, 24, 2);
    assert.equal(lines.join("").replaceAll(" ", ""), text.replaceAll(/[ \n]/g, ""));
    for (const line of lines) assert(displayWidth(line) < 24, line);
  }));
});
