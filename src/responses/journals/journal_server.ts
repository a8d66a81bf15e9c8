import { PeerError } from "../../base/mod.ts";
import {
  answerPeer,
  journalOpeningShape,
  MessageStream,
  refuse,
  required,
  type StreamHandler,
} from "../../calls/mod.ts";
import type { JournalBook } from "../../core/journals/mod.ts";
import type { AnswerPlace, Clock, PeerStream } from "../../ports/mod.ts";
import { JournalCopies } from "./journal_copies.ts";
import type { SharedJournals } from "./shared_journals.ts";

/** What a server answers from. */
export interface JournalServerParts {
  readonly book: JournalBook;
  readonly journals: Pick<SharedJournals, "follow" | "watch">;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Keeps copies of other nodes' journals, finds journals, and tells answers to nodes whose clients come back for them. */
export class JournalServer implements StreamHandler {
  /** Most of them follow an answer. */
  readonly streamsPerPeerMax = 256;
  readonly #parts: JournalServerParts;
  readonly #copies: JournalCopies;

  constructor(parts: JournalServerParts) {
    this.#parts = parts;
    this.#copies = new JournalCopies(parts.book, parts.clock, () => parts.journals.watch());
  }

  async serve(stream: PeerStream, asked: unknown): Promise<void> {
    const { act, id, owner, offset } = required(journalOpeningShape, asked);
    switch (act) {
      case "copy":
        return await this.#copies.follow(stream);
      case "find":
        return await answerPeer(stream, () => Promise.resolve(this.#find({ id, owner })));
      case "follow":
        return await this.#follow(stream, { id, owner, offset });
      default:
        throw new PeerError("malformed_frame", `Nothing is done with a journal by "${act}"`);
    }
  }

  #find(key: { readonly id: string; readonly owner: string }) {
    const { book, clock } = this.#parts;
    const found = book.find(key);
    if (found === undefined && book.isLost(key, clock.monotonicMs())) {
      return { kind: "found", isLost: true, epoch: 0, byteCount: 0, fingerprint: "" };
    }
    const { epoch = 0, byteCount = 0 } = found ?? {};
    const role = found && (found.state === "ended" ? "own" : found.role.kind);
    const { fingerprint = "" } = found?.head ?? {};
    return { kind: "found", ...(role && { role }), epoch, byteCount, fingerprint };
  }

  async #follow(stream: PeerStream, place: AnswerPlace): Promise<void> {
    const messages = new MessageStream(stream);
    const left = new AbortController();
    // Who follows says nothing more: whatever comes, or the stream's end, is his leaving.
    stream.read().then(() => left.abort(), () => left.abort());
    let isWhole = false;
    try {
      const followed = await this.#parts.journals.follow(place, left.signal, { asksOthers: false });
      if (followed !== undefined) {
        await messages.write({ kind: "opening", ...followed.opening });
        for await (const bytes of followed.bytes) await messages.write({ kind: "bytes", bytes });
        isWhole = true;
      }
      if (!left.signal.aborted) await messages.write({ kind: "over", isWhole });
      await messages.end();
    } catch (error) {
      if (left.signal.aborted) return stream.reset();
      await refuse(stream, error);
    }
  }
}
