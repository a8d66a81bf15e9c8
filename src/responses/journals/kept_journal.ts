import { UnavailableError } from "../../base/mod.ts";
import type { JournalWord } from "../../calls/mod.ts";
import type { BookRefusal, Journal, JournalBook } from "../../core/journals/mod.ts";
import type { AnswerEntry, AnswerKey, AnswerOpening } from "../../protocol/mod.ts";
import type { Clock, OwnJournal } from "../../ports/mod.ts";
import { begunWord, type JournalLink } from "./journal_link.ts";

/** What one journal is kept with. */
interface KeptJournalParts {
  readonly key: AnswerKey;
  readonly epoch: number;
  readonly refusal: BookRefusal | undefined;
  readonly book: JournalBook;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly link: JournalLink;
  /** Nobody here works with it any more. */
  readonly onOver: (journal: KeptJournal) => void;
}

const REASONS: Readonly<Record<BookRefusal, string>> = {
  too_large: "it is too large to be kept",
  too_many: "too much is kept already",
  taken_over: "another node goes on with it",
};

/** One of this node's own journals: first in its book, then on its way to the second node. */
export class KeptJournal implements OwnJournal {
  readonly #parts: KeptJournalParts;
  #refusal: BookRefusal | undefined;
  /** The last word, once it may be seen. */
  #said: Promise<void> = Promise.resolve();

  constructor(parts: KeptJournalParts) {
    this.#parts = parts;
    this.#refusal = parts.refusal;
  }

  announce(journal: Journal): void {
    void this.#say(begunWord(journal));
  }

  open(opening: AnswerOpening): void {
    if (this.#refusal !== undefined) return;
    const { book, key, epoch } = this.#parts;
    book.open(key, opening);
    void this.#say({ kind: "opened", ...keyOf(key), epoch, opening });
  }

  async tell(entry: AnswerEntry, { isLast }: { readonly isLast: boolean }): Promise<void> {
    if (this.#refusal === "taken_over") throw takenOver();
    if (this.#refusal !== undefined) return;
    const { book, key, epoch, clock } = this.#parts;
    const journal = book.find(key);
    if (journal?.role.kind === "copy" || journal !== undefined && journal.epoch !== epoch) {
      this.lose();
      throw takenOver();
    }
    const index = journal?.entries.length ?? 0;
    this.#refusal = book.append(key, entry, clock.monotonicMs());
    if (this.#refusal !== undefined) {
      void this.#say({ kind: "dropped", ...keyOf(key), epoch });
      return;
    }
    if (isLast) book.setState(key, "ended", clock.monotonicMs());
    await this.#say({ kind: "told", ...keyOf(key), epoch, index, entry, isLast });
    // Meanwhile it may have been said that it is another node's now.
    if (this.#isLost) throw takenOver();
  }

  async stand(state: Journal["state"]): Promise<void> {
    if (state !== "working") this.#parts.onOver(this);
    if (this.#refusal !== undefined) return;
    const { book, key, epoch, clock } = this.#parts;
    book.setState(key, state, clock.monotonicMs());
    await this.#say({ kind: "stood", ...keyOf(key), epoch, state });
  }

  drop(): void {
    this.#parts.onOver(this);
    if (this.#refusal !== undefined) return;
    const { book, key, epoch } = this.#parts;
    this.#refusal = "too_many";
    book.drop(key);
    void this.#say({ kind: "dropped", ...keyOf(key), epoch });
  }

  notKept(): string | undefined {
    return this.#refusal && REASONS[this.#refusal];
  }

  async copies(): Promise<number> {
    await this.#said;
    if (this.#refusal !== undefined) return 0;
    return this.#parts.link.partner === undefined ? 1 : 2;
  }

  /** Another one goes on with it. */
  lose(): void {
    this.#refusal = "taken_over";
    this.#parts.onOver(this);
  }

  get #isLost(): boolean {
    return this.#refusal === "taken_over";
  }

  #say(word: JournalWord): Promise<void> {
    return this.#said = this.#parts.link.say(word);
  }
}

function keyOf({ id, owner }: AnswerKey): AnswerKey {
  return { id, owner };
}

function takenOver(): UnavailableError {
  return new UnavailableError("peer_lost", "another node goes on with this answer");
}
