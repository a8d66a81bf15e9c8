import assert from "node:assert/strict";
import { JournalBook } from "../../core/journals/mod.ts";
import type { JournalHead } from "../../protocol/mod.ts";
import { begunWord } from "./journal_link.ts";

const HEAD: JournalHead = {
  ...{ id: "a", owner: "key k1", method: "POST", path: "/api/chat", headers: [] },
  ...{ body: new Uint8Array(10), fingerprint: "", who: "", from: "", drawn: "abc" },
  ...{ seed: 1, startedAtMs: 0 },
};

Deno.test("begunWord() tells a journal as it was, however long the word waits: what came behind it has words of its own", () => {
  const book = new JournalBook();
  const journal = book.begin(HEAD, { role: { kind: "own" }, epoch: 0, nowMs: 0 });
  assert.ok(typeof journal !== "string");
  const word = begunWord(journal);
  book.append(HEAD, { bytes: new Uint8Array(1), facts: "[]" }, 1);
  book.setState(HEAD, "ended", 2);
  assert.ok(word.kind === "begun");
  assert.deepEqual([word.entries, word.state], [[], "working"]);
});
