import { type NodeId, PeerError } from "../../base/mod.ts";
import { journalBatchShape, type JournalWord, MessageStream, required } from "../../calls/mod.ts";
import { isSameAnswer, type JournalBook } from "../../core/journals/mod.ts";
import type { AnswerKey } from "../../protocol/mod.ts";
import type { Clock, PeerStream } from "../../ports/mod.ts";

/** What became of a word. */
type Heard = "kept" | "not_kept" | "taken_over";

/** Keeps what other nodes tell of their journals. */
export class JournalCopies {
  readonly #book: JournalBook;
  readonly #clock: Pick<Clock, "monotonicMs">;

  readonly #onBegun: () => void;

  constructor(book: JournalBook, clock: Pick<Clock, "monotonicMs">, onBegun: () => void) {
    this.#book = book;
    this.#clock = clock;
    this.#onBegun = onBegun;
  }

  /** Resolves when the peer tells no more. @throws PeerError `malformed_frame`; UnavailableError `peer_lost`. */
  async follow(stream: PeerStream): Promise<void> {
    const messages = new MessageStream(stream);
    const takenOver = new Map<string, AnswerKey>();
    const notKept = new Map<string, AnswerKey>();
    for (;;) {
      const message = await messages.read();
      if (message === undefined) return await messages.end();
      const { batch, words } = required(journalBatchShape, message);
      for (const word of words) {
        const key = word.kind === "begun" ? word.head : word;
        const name = `${key.owner}\n${key.id}`;
        const heard = this.#hear(stream.peer, key, word);
        if (heard === "taken_over") takenOver.set(name, { id: key.id, owner: key.owner });
        if (heard === "not_kept") notKept.set(name, { id: key.id, owner: key.owner });
        else notKept.delete(name);
      }
      if (batch === undefined) continue;
      const untold = [...notKept.values()];
      await messages.write({ batch, takenOver: [...takenOver.values()], notKept: untold });
      takenOver.clear();
      notKept.clear();
    }
  }

  /** `taken_over`: the peer has lost the journal to this node. */
  #hear(peer: NodeId, key: AnswerKey, word: JournalWord): Heard {
    const nowMs = this.#clock.monotonicMs();
    const journal = this.#book.find(key);
    const epoch = word.epoch;
    if (word.kind === "begun") return this.#begin(peer, word, nowMs);
    if (word.kind === "dropped" && journal === undefined) return "kept";
    // What could not be kept here the peer shows all the same.
    if (journal === undefined || !isSameAnswer(journal, word)) return "not_kept";
    if (journal.epoch > epoch) return "taken_over";
    const { role } = journal;
    if (role.kind === "own" || role.of !== peer || journal.epoch !== epoch) return "not_kept";
    switch (word.kind) {
      case "opened":
        this.#book.open(key, word.opening);
        return "kept";
      case "told":
        if (word.index !== journal.entries.length) {
          throw new PeerError("malformed_frame", "An entry of a journal was left out");
        }
        if (this.#book.append(key, word.entry, nowMs) !== undefined) return "not_kept";
        if (word.isLast) this.#book.setState(key, "ended", nowMs);
        return "kept";
      case "stood":
        this.#book.setState(key, word.state, nowMs);
        return "kept";
      case "dropped":
        // What nothing was told of was none.
        if (journal.entries.length > 0) this.#book.giveUp(key, nowMs);
        else this.#book.drop(key);
        return "kept";
    }
  }

  #begin(peer: NodeId, word: Extract<JournalWord, { kind: "begun" }>, nowMs: number): Heard {
    const { head, epoch, opening, entries, state } = word;
    const role = { kind: "copy", of: peer } as const;
    const begun = this.#book.begin(head, { role, epoch, nowMs });
    if (begun === "taken_over") return begun;
    if (typeof begun === "string") return "not_kept";
    this.#onBegun();
    if (opening !== undefined) this.#book.open(head, opening);
    for (const entry of entries) {
      if (this.#book.append(head, entry, nowMs) !== undefined) return "not_kept";
    }
    this.#book.setState(head, state, nowMs);
    return "kept";
  }
}
