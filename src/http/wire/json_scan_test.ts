import assert from "node:assert/strict";
import fc from "fast-check";
import { RequestError } from "../../base/mod.ts";
import { JsonScan } from "./json_scan.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** The text that belongs to the first value when it comes in parts of `partBytes`. */
function firstValue(text: string, partBytes: number): string {
  const scan = new JsonScan();
  const bytes = bytesOf(text);
  let kept = 0;
  for (let from = 0; from < bytes.length; from += partBytes) {
    kept += scan.feed(bytes.subarray(from, from + partBytes));
  }
  return new TextDecoder().decode(bytes.subarray(0, kept));
}

const isTooLarge = (what: RegExp) => (error: unknown) =>
  error instanceof RequestError && error.code === "body_too_large" && what.test(error.message);

Deno.test("JsonScan finds the end of the first value, however its bytes are cut", () => {
  const json = fc.json({ maxDepth: 5 }).filter((text) => /^[[{]/.test(text));
  fc.assert(fc.property(json, fc.integer({ min: 1, max: 9 }), (text, partBytes) => {
    assert.equal(firstValue(`${text}}] "rest`, partBytes), text);
  }));
});

Deno.test("JsonScan takes brackets and quotes inside strings for text", () => {
  for (const text of ['{"a":"]}\\"}{[,"}', '["\\\\"]', '{"\\"":[]}']) {
    assert.equal(firstValue(`${text}{`, 1), text);
  }
});

for (
  const [what, text] of [
    ["65536 objects and lists", `[${"{},".repeat(65_536)}`],
    ["65536 strings", `{${'"":"",'.repeat(32_769)}`],
    ["1048576 values", `[${"1,".repeat(1_048_577)}`],
    ["512 levels of objects and lists", "[".repeat(513)],
    ["512 levels of objects and lists", '{"a":'.repeat(513)],
  ] as const
) {
  Deno.test(`JsonScan accepts at most ${what}: ${text.slice(0, 10)}`, () => {
    const scan = new JsonScan();
    assert.throws(() => scan.feed(bytesOf(text)), isTooLarge(new RegExp(`at most ${what}`)));
  });
}

Deno.test("JsonScan adds up the counts of several texts", () => {
  const scan = new JsonScan();
  const text = bytesOf(`[${"{},".repeat(40_000)}{}]`);
  scan.feed(text);
  scan.next();
  assert.throws(() => scan.feed(text), isTooLarge(/65536/));
});
