import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { JournalHead } from "../../protocol/mod.ts";
import { JournalBook } from "./journal_book.ts";
import { JOURNAL_BYTES_MAX, JOURNAL_LIFE_MS, type JournalLimits } from "./limits.ts";

const OWN = { kind: "own" } as const;
const COPY = { kind: "copy", of: "a".repeat(64) as NodeId } as const;
const ROOMY: JournalLimits = {
  journalsMax: 100,
  bytesMax: 1e9,
  perOwnerMax: 100,
  bytesPerOwnerMax: 1e9,
};

function head(id: string, owner = "key k1"): JournalHead {
  return {
    ...{ id, owner, method: "POST", path: "/api/chat", headers: [], body: new Uint8Array(10) },
    ...{ fingerprint: "", who: "", from: "", drawn: "abc", seed: 1, startedAtMs: 0 },
  };
}

function entry(byteCount: number) {
  return { bytes: new Uint8Array(byteCount), facts: "[]" };
}

function begun(book: JournalBook, id: string, owner?: string, nowMs = 0) {
  return book.begin(head(id, owner), { role: OWN, epoch: 0, nowMs });
}

Deno.test("JournalBook finds a journal by its id and its owner together", () => {
  const book = new JournalBook(ROOMY);
  begun(book, "one");
  book.append({ id: "one", owner: "key k1" }, entry(3), 0);
  assert.equal(book.find({ id: "one", owner: "key k1" })?.byteCount, 3);
  assert.equal(book.find({ id: "one", owner: "key k2" }), undefined);
});

for (
  const [what, limits] of [
    ["journals", { journalsMax: 2 }],
    ["journals of one owner", { perOwnerMax: 2 }],
    ["bytes", { bytesMax: 2_500 }],
    ["bytes of one owner", { bytesPerOwnerMax: 2_500 }],
  ] as const
) {
  Deno.test(`JournalBook keeps within its ${what}, and what is worked on makes no room`, () => {
    const book = new JournalBook({ ...ROOMY, ...limits });
    begun(book, "a");
    begun(book, "b");
    assert.equal(begun(book, "c"), "too_many");
    book.setState(head("a"), "ended", 1);
    assert.notEqual(begun(book, "c"), "too_many");
    assert.equal(book.find(head("a")), undefined);
    assert.notEqual(book.find(head("b")), undefined);
    assert.equal(book.size, 2);
  });
}

Deno.test("JournalBook lets one owner's journals make room for that owner's alone", () => {
  const book = new JournalBook({ ...ROOMY, perOwnerMax: 1 });
  begun(book, "other", "key k2");
  book.setState(head("other", "key k2"), "ended", 0);
  begun(book, "a");
  assert.equal(begun(book, "b"), "too_many");
  assert.notEqual(book.find(head("other", "key k2")), undefined);
});

Deno.test("JournalBook keeps no journal that grows too large, and pays its bytes back", () => {
  const book = new JournalBook(ROOMY);
  begun(book, "a");
  assert.equal(book.append(head("a"), entry(JOURNAL_BYTES_MAX), 0), "too_large");
  assert.equal(book.find(head("a")), undefined);
  assert.equal(book.cost, 0);
});

Deno.test("JournalBook knows which journals it gave up, for as long as they could have been come back for", () => {
  const book = new JournalBook(ROOMY);
  const drawn = { ...head("abc") };
  begun(book, "a");
  assert.equal(book.isLost(head("a"), 0), false);
  book.append(head("a"), entry(JOURNAL_BYTES_MAX), 5);
  assert.equal(book.isLost(head("a"), 5 + JOURNAL_LIFE_MS - 1), true);
  assert.equal(book.isLost(drawn, 5), true, "by what was drawn for it, too");
  assert.equal(book.isLost(head("a", "key k2"), 5), false);
  assert.equal(book.isLost(head("a"), 5 + JOURNAL_LIFE_MS), false);
  begun(book, "a");
  assert.equal(book.isLost(head("a"), 6), false, "there is another one of the name");
  book.drop(head("a"));
  assert.equal(book.isLost(head("a"), 6), false, "nothing was told of it");
});

Deno.test("JournalBook forgets what nobody comes back for in time, but nothing that is worked on", () => {
  const book = new JournalBook(ROOMY);
  for (const id of ["ended", "idle", "working"] as const) {
    begun(book, id);
    book.setState(head(id), id, 0);
  }
  book.begin(head("copy"), { role: COPY, epoch: 0, nowMs: 0 });
  book.expire(JOURNAL_LIFE_MS - 1);
  assert.equal(book.size, 4);
  book.expire(JOURNAL_LIFE_MS);
  assert.deepEqual([...book.all()].map((one) => one.head.id), ["working"]);
});

Deno.test("JournalBook hears nothing more of a journal from the node that it was taken over from", () => {
  const book = new JournalBook(ROOMY);
  book.begin(head("a"), { role: COPY, epoch: 3, nowMs: 0 });
  book.append(head("a"), entry(5), 0);
  const taken = book.takeOver(head("a"), 1);
  assert.deepEqual([taken?.role, taken?.epoch, taken?.state], [OWN, 4, "idle"]);
  assert.equal(book.begin(head("a"), { role: COPY, epoch: 3, nowMs: 2 }), "taken_over");
  assert.equal(book.find(head("a"))?.byteCount, 5);
  // Whoever takes it over from here is heard.
  assert.notEqual(book.begin(head("a"), { role: COPY, epoch: 5, nowMs: 2 }), "taken_over");
});

Deno.test("JournalBook lets no other answer of the same name take the place of one that is made here", () => {
  const book = new JournalBook(ROOMY);
  begun(book, "a");
  book.append(head("a"), entry(5), 0);
  const other = { ...head("a"), drawn: "other" };
  const as = { role: COPY, epoch: 7, nowMs: 1 } as const;
  assert.equal(book.begin(other, as), "too_many");
  assert.equal(book.find(head("a"))?.byteCount, 5);
  // The same answer is another node's now.
  assert.notEqual(typeof book.begin(head("a"), as), "string");
  assert.deepEqual(book.find(head("a"))?.role, COPY);
  assert.notEqual(typeof book.begin(other, as), "string");
});

Deno.test("JournalBook makes room for one owner without a look at what others keep", () => {
  const book = new JournalBook({ ...ROOMY, perOwnerMax: 1 });
  let looks = 0;
  for (let number = 0; number < 50; number++) {
    const other = head(`${number}`);
    Object.defineProperty(other, "owner", { get: () => (looks++, `key of ${number}`) });
    book.begin(other, { role: OWN, epoch: 0, nowMs: 0 });
    book.setState(other, "ended", 0);
  }
  begun(book, "a");
  book.setState(head("a"), "ended", 0);
  looks = 0;
  assert.notEqual(begun(book, "b"), "too_many");
  assert.equal(looks, 0);
});

Deno.test("JournalBook gives a copy up that has no room left but its own, and pays its bytes back", () => {
  const book = new JournalBook({ ...ROOMY, bytesPerOwnerMax: 3_000 });
  for (const id of ["a", "b"]) book.begin(head(id), { role: COPY, epoch: 0, nowMs: 0 });
  assert.equal(book.append(head("a"), entry(1_500), 0), undefined);
  assert.equal(book.find(head("b")), undefined);
  assert.equal(book.append(head("a"), entry(1_500), 0), "too_many");
  assert.deepEqual([book.size, book.cost], [0, 0]);
});
