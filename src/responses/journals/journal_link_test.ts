import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { type Journal, JournalBook } from "../../core/journals/mod.ts";
import { JOURNAL_LIMITS } from "../../core/journals/limits.ts";
import type { JournalHead } from "../../protocol/mod.ts";
import { HandClock, settle } from "../../../tests/harness/hand_clock.ts";
import { streamPair } from "../../../tests/harness/peer_streams.ts";
import { RecordingTelemetry } from "../../../tests/harness/scripted_client.ts";
import { JournalCopies } from "./journal_copies.ts";
import { begunWord, JournalLink } from "./journal_link.ts";

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

const SELF = "aaaaaaaaaaaaaaaa" as NodeId;
const SECOND = "bbbbbbbbbbbbbbbb" as NodeId;

/** A link to a second node with room for so much. */
async function linked(limits: Partial<typeof JOURNAL_LIMITS>) {
  const clock = new HandClock();
  const book = new JournalBook();
  const copies = new JournalCopies(
    new JournalBook({ ...JOURNAL_LIMITS, ...limits }),
    clock,
    () => {},
  );
  const { near, far } = streamPair(SELF, SECOND, 100);
  const link = new JournalLink({
    ...{ clock, book, log: new RecordingTelemetry(), onTakenOver: () => {} },
    transport: { openStream: () => Promise.resolve(near) },
    addressOf: (nodeId) => ({ nodeId, address: "" }),
  });
  link.choose({ peers: [SECOND], doubted: [] });
  await settle();
  await far.read();
  void copies.follow(far).catch(() => {});
  const begin = async (id: string): Promise<JournalHead> => {
    const head = { ...HEAD, id, drawn: `drawn ${id}` };
    const journal = book.begin(head, { role: { kind: "own" }, epoch: 0, nowMs: 0 }) as Journal;
    await link.say(begunWord(journal));
    return head;
  };
  return { link, begin, book };
}

Deno.test("a second node that has no room for a journal says so, and it counts as one copy", async () => {
  const { link, begin } = await linked({ bytesMax: 2_000 });
  const short = await begin("short");
  assert.equal(link.isCopied(short), true);
  const entry = { bytes: new Uint8Array(3_000), facts: "" };
  const { id, owner, drawn } = short;
  await link.say({ kind: "told", id, owner, drawn, epoch: 0, index: 0, entry, isLast: false });
  assert.equal(link.isCopied(short), false);
  link.close();
});

Deno.test("a journal that a second node never began to keep counts as one copy", async () => {
  const { link, begin } = await linked({ bytesMax: 10 });
  assert.equal(link.isCopied(await begin("a")), false);
  assert.equal(link.partner, SECOND);
  link.close();
});
