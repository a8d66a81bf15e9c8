import assert from "node:assert/strict";
import type { RequestError } from "../../base/mod.ts";
import { readLineRules } from "./line_rules.ts";

Deno.test("readLineRules() reads what becomes of lines, and how they begin", () => {
  assert.deepEqual(readLineRules(["drop:x-request-id:", "end:  Today's date:", "last:Time: "]), [
    { action: "drop", beginning: "x-request-id:" },
    { action: "end", beginning: "Today's date:" },
    { action: "last", beginning: "Time: " },
  ]);
});

Deno.test("readLineRules() refuses what fits nothing, too much, or what another rule hides, with what it wants", () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [["x-request-id:"], /takes "drop:BEGINNING", .* got "x-request-id:"$/],
    [["drop"], /takes "drop:BEGINNING"/],
    [["move:Time:"], /takes "drop:BEGINNING"/],
    [["drop:"], /of one line with 4 to 128 characters, got "" \(0\)$/],
    [["drop:   a"], /4 to 128 characters, got "a"/],
    [["drop:a  "], /4 to 128 characters/],
    [[`drop:${"a".repeat(129)}`], /4 to 128 characters, .*\(129\)$/],
    [["drop:Time:\nBe kind."], /of one line/],
    [["drop:Time:\u2028Be"], /of one line/],
    [["drop:Time\u0000"], /of one line/],
    [
      ["drop:Time", "last:Time: "],
      /no rule that another one hides: "Time" stands before "Time: "$/,
    ],
    [Array.from({ length: 17 }, (_, at) => `drop:line ${at + 10}`), /at most 16 rules, got 17$/],
  ];
  for (const [texts, words] of cases) {
    assert.throws(
      () => readLineRules(texts),
      (error: RequestError) =>
        error.code === "invalid_option" && error.status === 400 && words.test(error.message),
      texts.join(),
    );
  }
});

Deno.test("readLineRules() takes a longer beginning before a shorter one", () => {
  assert.equal(readLineRules(["last:Time: ", "drop:Time"]).length, 2);
});
