import { type NodeId, PeerError } from "../../base/mod.ts";
import { journalBatchShape, type JournalWord, MessageStream, required } from "../../calls/mod.ts";
import { isSameAnswer, type JournalBook } from "../../core/journals/mod.ts";
import type { AnswerKey } from "../../protocol/mod.ts";
import type { Clock, PeerStream } from "../../ports/mod.ts";

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
    for (;;) {
      const message = await messages.read();
      if (message === undefined) return await messages.end();
      const { batch, words } = required(journalBatchShape, message);
      for (const word of words) {
        const key = word.kind === "begun" ? word.head : word;
        if (this.#hear(stream.peer, key, word)) continue;
        takenOver.set(`${key.owner}\n${key.id}`, { id: key.id, owner: key.owner });
      }
      if (batch === undefined) continue;
      await messages.write({ batch, takenOver: [...takenOver.values()] });
      takenOver.clear();
    }
  }

  /** False = the peer has lost the journal to this node. */
  #hear(peer: NodeId, key: AnswerKey, word: JournalWord): boolean {
    const nowMs = this.#clock.monotonicMs();
    const journal = this.#book.find(key);
    const epoch = word.epoch;
    if (word.kind === "begun") return this.#begin(peer, word, nowMs);
    // What could not be kept here is no one's loss: the peer shows it all the same.
    if (journal === undefined || !isSameAnswer(journal, word)) return true;
    if (journal.epoch > epoch) return false;
    const { role } = journal;
    if (role.kind === "own" || role.of !== peer || journal.epoch !== epoch) return true;
    switch (word.kind) {
      case "opened":
        this.#book.open(key, word.opening);
        return true;
      case "told":
        if (word.index !== journal.entries.length) {
          throw new PeerError("malformed_frame", "An entry of a journal was left out");
        }
        this.#book.append(key, word.entry, nowMs);
        if (word.isLast) this.#book.setState(key, "ended", nowMs);
        return true;
      case "stood":
        this.#book.setState(key, word.state, nowMs);
        return true;
      case "dropped":
        // What nothing was told of was none.
        if (journal.entries.length > 0) this.#book.giveUp(key, nowMs);
        else this.#book.drop(key);
        return true;
    }
  }

  #begin(peer: NodeId, word: Extract<JournalWord, { kind: "begun" }>, nowMs: number): boolean {
    const { head, epoch, opening, entries, state } = word;
    const role = { kind: "copy", of: peer } as const;
    const begun = this.#book.begin(head, { role, epoch, nowMs });
    if (begun === "taken_over") return false;
    if (typeof begun === "string") return true;
    this.#onBegun();
    if (opening !== undefined) this.#book.open(head, opening);
    for (const entry of entries) this.#book.append(head, entry, nowMs);
    this.#book.setState(head, state, nowMs);
    return true;
  }
}
