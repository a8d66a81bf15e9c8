import { UnavailableError } from "../../base/mod.ts";
import type { Clock, OwnJournal } from "../../ports/mod.ts";
import type { AnswerEntry, AnswerOpening } from "../../protocol/mod.ts";

/** Entries that are made and not known to two nodes yet, at most; whoever makes them waits then. */
const UNSEEN_MAX = 64;

const NOTHING: AnswerEntry = { bytes: new Uint8Array(), facts: "" };

/** What an answer is made from, one entry at a time. */
export interface AnswerSource {
  /** Undefined = the answer is whole. @throws what is told in the answer's place. */
  next(): Promise<AnswerEntry | undefined>;
  /** Told in place of what is missing. */
  failure(error: unknown): Uint8Array;
}

/** What a live answer needs to know. */
export interface LiveAnswerParts {
  readonly journal: OwnJournal;
  readonly clock: Clock;
  /** Goes on for so long after its last reader left. Milliseconds. */
  readonly keepMs: number;
  /** What was told before. */
  readonly entries: readonly AnswerEntry[];
  /** Nobody makes or reads it any more. */
  readonly onOver: () => void;
}

/**
 * An answer while it is made: whoever reads it makes it go on, at the speed of the fastest one, and nobody sees what another
 * node could not tell again.
 */
export class LiveAnswer {
  readonly #parts: LiveAnswerParts;
  readonly #entries: AnswerEntry[];
  /** Of the first entries, how many may be seen. */
  #seen: number;
  #source: AnswerSource | undefined;
  #maker: { readonly deserted: () => void; readonly over: () => void } | undefined;
  #isFed = false;
  #readers = 0;
  /** Readers that have all there is. */
  #hungry = 0;
  #isKept = false;
  #isPumping = false;
  #end: "whole" | "broken" | undefined;
  #change = Promise.withResolvers<void>();
  #opening = Promise.withResolvers<AnswerOpening>();

  constructor(parts: LiveAnswerParts) {
    this.#parts = parts;
    this.#entries = [...parts.entries];
    this.#seen = parts.entries.length;
    this.#opening.promise.catch(() => {});
  }

  get journal(): OwnJournal {
    return this.#parts.journal;
  }

  /** How it begins, once that is known. @throws what it failed with before. */
  get opening(): Promise<AnswerOpening> {
    return this.#opening.promise;
  }

  /** Entries that were told before this life of the answer: their like is made once more, and not told. */
  get toldBefore(): readonly AnswerEntry[] {
    return this.#parts.entries;
  }

  /** Whoever makes it is told when nobody wants more of it, and when nothing follows. */
  attend(maker: { readonly deserted: () => void; readonly over: () => void }): void {
    this.#maker = maker;
    if (this.#end === "broken") maker.deserted();
    if (this.#end !== undefined) maker.over();
  }

  /** The head of the answer may be sent. */
  open(opening: AnswerOpening): void {
    this.#parts.journal.open(opening);
    this.#opening.resolve(opening);
  }

  /** Whether it is told while it is made. */
  get isFed(): boolean {
    return this.#isFed;
  }

  /** From now on more can be made. */
  feed(source: AnswerSource): void {
    this.#source = source;
    this.#isFed = true;
    this.#pump();
  }

  /** Told by whoever made it, without having been asked for more. @throws UnavailableError `peer_lost`. */
  async tell(entry: AnswerEntry, options: { readonly isLast: boolean }): Promise<void> {
    this.#entries.push(entry);
    await this.#parts.journal.tell(entry, options);
    this.#seen++;
    this.#changed();
  }

  /** It is whole, or never will be: then it is none to come back for if nothing of it was told. */
  async end(how: "whole" | "broken"): Promise<void> {
    const isSeen = this.#seen === this.#entries.length;
    if (this.#end === "broken" || this.#end === how || this.#end === "whole" && isSeen) return;
    this.#end = how;
    this.#source = undefined;
    this.#opening.reject(new UnavailableError("peer_lost", "the answer broke off"));
    const { journal, onOver } = this.#parts;
    if (this.#entries.length === 0) journal.drop();
    else await journal.stand(how === "whole" ? "ended" : "idle").catch(() => {});
    this.#changed();
    onOver();
    this.#maker?.over();
  }

  /** A reader that counts from now on; it must call what is returned. */
  enter(): () => void {
    this.#readers++;
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#readers--;
      if (this.#readers === 0 && this.#end === undefined) this.#deserted();
    };
  }

  /** From a byte on, to the end. @throws UnavailableError `peer_lost` where it breaks off. */
  async *read(offset: number, leave: () => void): AsyncGenerator<Uint8Array> {
    let index = 0;
    let skip = offset;
    try {
      for (;;) {
        while (index < this.#seen) {
          const { bytes } = this.#take(index++);
          if (skip < bytes.length) yield bytes.subarray(skip);
          skip = Math.max(0, skip - bytes.length);
        }
        if (this.#end === "broken") throw new UnavailableError("peer_lost", "the answer broke off");
        if (this.#end === "whole" && index === this.#entries.length) return;
        await this.#more();
      }
    } finally {
      leave();
    }
  }

  /** What nobody can come back for is not held any longer than its one reader needs it. */
  #take(index: number): AnswerEntry {
    const entry = this.#entries[index] ?? NOTHING;
    if (this.#readers < 2 && this.#parts.journal.notKept() !== undefined) {
      this.#entries[index] = NOTHING;
    }
    return entry;
  }

  async #more(): Promise<void> {
    const change = this.#change.promise;
    this.#hungry++;
    this.#pump();
    try {
      await change;
    } finally {
      this.#hungry--;
    }
  }

  #pump(): void {
    if (!this.#isPumping && this.#source !== undefined) void this.#make();
  }

  async #make(): Promise<void> {
    this.#isPumping = true;
    try {
      while (this.#isWanted && await this.#makeOne());
    } finally {
      // At once with the last look: whoever gets hungry after it must find nobody at work.
      this.#isPumping = false;
    }
  }

  /** False = nothing follows. */
  async #makeOne(): Promise<boolean> {
    const source = this.#source;
    if (source === undefined) return false;
    try {
      const entry = await source.next();
      if (this.#end !== undefined) return false;
      if (entry === undefined) return await this.end("whole").then(() => false);
      void this.tell(entry, { isLast: false }).catch(() => this.#lose());
      return true;
    } catch (error) {
      if (this.#end !== undefined) return false;
      const last = { bytes: source.failure(error), facts: "" };
      void this.tell(last, { isLast: true }).catch(() => this.#lose());
      return await this.end("whole").then(() => false);
    }
  }

  get #isWanted(): boolean {
    const unseen = this.#entries.length - this.#seen;
    return this.#end === undefined && (this.#hungry > 0 || this.#isKept) && unseen < UNSEEN_MAX;
  }

  /** Another node goes on with it: whoever reads here must go there. */
  #lose(): void {
    void this.end("broken");
    this.#maker?.deserted();
  }

  #deserted(): void {
    const { keepMs, clock } = this.#parts;
    if (keepMs === 0) return this.#lose();
    this.#isKept = true;
    this.#pump();
    clock.after(keepMs, () => {
      this.#isKept = false;
      if (this.#readers === 0 && this.#end === undefined) this.#lose();
    });
  }

  #changed(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers();
    resolve();
    this.#pump();
  }
}
