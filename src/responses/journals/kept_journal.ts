import { UnavailableError } from "../../base/mod.ts";
import type { JournalWord } from "../../calls/mod.ts";
import {
  type BookRefusal,
  isSameAnswer,
  type Journal,
  type JournalBook,
} from "../../core/journals/mod.ts";
import type { AnswerEntry, AnswerOpening, JournalHead } from "../../protocol/mod.ts";
import type { Clock, OwnJournal } from "../../ports/mod.ts";
import { begunWord, type JournalLink } from "./journal_link.ts";

/** What one journal is kept with. */
interface KeptJournalParts {
  readonly head: JournalHead;
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
    const { book, head, epoch } = this.#parts;
    book.open(head, opening);
    void this.#say({ kind: "opened", ...wordOf(head), epoch, opening });
  }

  async tell(entry: AnswerEntry, { isLast }: { readonly isLast: boolean }): Promise<void> {
    if (this.#refusal === "taken_over") throw takenOver();
    if (this.#refusal !== undefined) return;
    const { book, head, epoch, clock } = this.#parts;
    const journal = book.find(head);
    if (journal !== undefined && !this.#isOwn(journal)) {
      this.lose();
      throw takenOver();
    }
    const index = journal?.entries.length ?? 0;
    this.#refusal = book.append(head, entry, clock.monotonicMs());
    if (this.#refusal !== undefined) {
      // Its name is free: whoever asks the same again is answered anew.
      this.#parts.onOver(this);
      void this.#say({ kind: "dropped", ...wordOf(head), epoch });
      return;
    }
    if (isLast) book.setState(head, "ended", clock.monotonicMs());
    await this.#say({ kind: "told", ...wordOf(head), epoch, index, entry, isLast });
    // Meanwhile it may have been said that it is another node's now.
    if (this.#isLost) throw takenOver();
  }

  async stand(state: Journal["state"]): Promise<void> {
    if (state !== "working") this.#parts.onOver(this);
    if (this.#refusal !== undefined) return;
    const { book, head, epoch, clock } = this.#parts;
    book.setState(head, state, clock.monotonicMs());
    await this.#say({ kind: "stood", ...wordOf(head), epoch, state });
  }

  drop(): void {
    this.#parts.onOver(this);
    if (this.#refusal !== undefined) return;
    const { book, head, epoch } = this.#parts;
    this.#refusal = "too_many";
    book.drop(head);
    void this.#say({ kind: "dropped", ...wordOf(head), epoch });
  }

  notKept(): string | undefined {
    return this.#refusal && REASONS[this.#refusal];
  }

  async copies(): Promise<number> {
    await this.#said;
    if (this.#refusal !== undefined) return 0;
    return this.#parts.link.isCopied(this.#parts.head) ? 2 : 1;
  }

  /** Another one goes on with it. */
  lose(): void {
    this.#refusal = "taken_over";
    this.#parts.onOver(this);
  }

  #isOwn(journal: Journal): boolean {
    const { head, epoch } = this.#parts;
    return journal.role.kind === "own" && journal.epoch === epoch && isSameAnswer(journal, head);
  }

  get #isLost(): boolean {
    return this.#refusal === "taken_over";
  }

  #say(word: JournalWord): Promise<void> {
    return this.#said = this.#parts.link.say(word);
  }
}

function wordOf({ id, owner, drawn }: JournalHead) {
  return { id, owner, drawn };
}

function takenOver(): UnavailableError {
  return new UnavailableError("peer_lost", "another node goes on with this answer");
}
