import { errorMessage, isEdgeError, type NodeId } from "../../base/mod.ts";
import {
  JOURNAL_PURPOSE,
  journalAckShape,
  type JournalWord,
  MessageStream,
  openPurpose,
  required,
} from "../../calls/mod.ts";
import {
  type Journal,
  type JournalBook,
  JournalReplication,
  type ReplicationFact,
  type ReplicationOrder,
} from "../../core/journals/mod.ts";
import type { AnswerKey } from "../../protocol/mod.ts";
import type { Clock, Log, PeerAddress, Transport } from "../../ports/mod.ts";

/** Bytes of one message about journals, about: what is longer goes in several. */
const MESSAGE_BYTES = 4 * 1024 * 1024;

/** Of what the second node could not keep, what is gone is looked for once there is so much. */
const NOT_KEPT_LOOK = 256;

/** What the way to a second node takes. */
export interface JournalLinkParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
  readonly log: Log;
  readonly addressOf: (nodeId: NodeId) => PeerAddress | undefined;
  readonly book: JournalBook;
  /** Another node goes on with a journal of this one. */
  readonly onTakenOver: (key: AnswerKey) => void;
}

/** Words of this node's journals on their way to a second node: carries out what {@link JournalReplication} orders. */
export class JournalLink {
  readonly #parts: JournalLinkParts;
  readonly #replication = new JournalReplication<JournalWord>();
  /** Who waits for a word to be known, in the order of the words. */
  /** Journals that the second node said it could not keep, by their names. */
  readonly #notKept = new Set<string>();
  readonly #waiting: { readonly upTo: number; readonly resolve: () => void }[] = [];
  #messages: { readonly peer: NodeId; readonly stream: MessageStream } | undefined;
  #ending: AbortController | undefined;
  #isClosed = false;

  constructor(parts: JournalLinkParts) {
    this.#parts = parts;
  }

  /** The node that has a copy of all that was released. */
  get partner(): NodeId | undefined {
    return this.#replication.partner;
  }

  /** Whether it has a copy of this one. */
  isCopied(key: AnswerKey): boolean {
    return this.partner !== undefined && !this.#notKept.has(nameOf(key));
  }

  /** Resolves once the word may be seen. */
  say(word: JournalWord): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const upTo = this.#replication.written + 1;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ upTo, resolve });
    this.#step({ kind: "wrote", word });
    return promise;
  }

  choose(of: { readonly peers: readonly NodeId[]; readonly doubted: readonly NodeId[] }): void {
    this.#step({ kind: "candidates", ...of });
    this.look();
  }

  /** Has the second node answered in time? */
  look(): void {
    this.#step({ kind: "looked" });
  }

  close(): void {
    this.#isClosed = true;
    this.#unlink();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #step(fact: ReplicationFact<JournalWord>): void {
    if (this.#isClosed) return;
    const orders = this.#replication.step(fact, this.#parts.clock.monotonicMs());
    for (const order of orders) this.#carryOut(order);
  }

  #carryOut(order: ReplicationOrder<JournalWord>): void {
    switch (order.kind) {
      case "link":
        void this.#link(order.peer);
        break;
      case "unlink":
        this.#unlink();
        break;
      case "send_all":
        this.#send(order.batch, everything(this.#parts.book));
        break;
      case "send":
        this.#send(order.batch, order.words);
        break;
      case "release": {
        const seen = this.#waiting.findIndex(({ upTo }) => upTo > order.upTo);
        const released = this.#waiting.splice(0, seen < 0 ? this.#waiting.length : seen);
        for (const { resolve } of released) resolve();
      }
    }
  }

  async #link(peer: NodeId): Promise<void> {
    const ending = new AbortController();
    this.#ending = ending;
    try {
      const address = this.#parts.addressOf(peer);
      if (address === undefined) return;
      const opening = { purpose: JOURNAL_PURPOSE, act: "copy", id: "", owner: "", offset: 0 };
      const to = { peer: address, opening };
      const raw = await openPurpose(this.#parts.transport, to, ending.signal);
      ending.signal.addEventListener("abort", () => raw.reset());
      const stream = new MessageStream(raw);
      this.#messages = { peer, stream };
      this.#step({ kind: "linked", peer });
      await this.#hear(stream);
    } catch (error) {
      if (!isEdgeError(error) && !ending.signal.aborted) throw error;
      this.#parts.log.log("debug", "journal_link_lost", { peer, reason: errorMessage(error) });
    } finally {
      const isCurrent = this.#ending === ending;
      ending.abort();
      if (isCurrent) this.#step({ kind: "lost", peer });
    }
  }

  async #hear(stream: MessageStream): Promise<void> {
    for (;;) {
      const message = await stream.read();
      if (message === undefined) return;
      const { batch, takenOver, notKept = [] } = required(journalAckShape, message);
      for (const key of takenOver) this.#parts.onTakenOver(key);
      this.#note(notKept);
      this.#step({ kind: "acked", batch });
    }
  }

  /** As many as are kept here at most: it could keep none that is none any more. */
  #note(notKept: readonly AnswerKey[]): void {
    const { book } = this.#parts;
    for (const key of notKept) if (book.find(key) !== undefined) this.#notKept.add(nameOf(key));
    if (this.#notKept.size <= 2 * book.size + NOT_KEPT_LOOK) return;
    const names = new Set([...book.all()].map(({ head }) => nameOf(head)));
    for (const name of this.#notKept) if (!names.has(name)) this.#notKept.delete(name);
  }

  #unlink(): void {
    // Another one may have room.
    this.#notKept.clear();
    const ending = this.#ending;
    this.#ending = undefined;
    this.#messages = undefined;
    ending?.abort(new DOMException("The second node is another one", "AbortError"));
  }

  #send(batch: number, words: Iterable<JournalWord>): void {
    const stream = this.#messages?.stream;
    if (stream === undefined) return;
    let part: JournalWord[] = [];
    let byteCount = 0;
    const write = (message: unknown) => void stream.write(message).catch(() => stream.reset());
    for (const word of words) {
      const bytes = byteCountOf(word);
      if (byteCount > 0 && byteCount + bytes > MESSAGE_BYTES) {
        write({ words: part });
        [part, byteCount] = [[], 0];
      }
      part.push(word);
      byteCount += bytes;
    }
    write({ batch, words: part });
  }
}

/** What is told of a journal as a whole, as it is now: it may wait, and what is told meanwhile has words of its own. */
export function begunWord({ head, epoch, opening, entries, state }: Journal): JournalWord {
  const opened = opening === undefined ? {} : { opening };
  return { kind: "begun", head, epoch, ...opened, entries: [...entries], state };
}

/** Of own journals; what nobody works on any more is still of use to whoever comes back for it. */
function* everything(book: JournalBook): Generator<JournalWord> {
  for (const journal of book.all()) {
    if (journal.role.kind === "own") yield begunWord(journal);
  }
}

function nameOf({ id, owner }: AnswerKey): string {
  return `${owner}\n${id}`;
}

function byteCountOf(word: JournalWord): number {
  if (word.kind === "told") return word.entry.bytes.length + word.entry.facts.length + 64;
  if (word.kind !== "begun") return 64;
  const entries = word.entries.map(({ bytes, facts }) => bytes.length + facts.length + 64);
  return word.head.body.length + entries.reduce((sum, bytes) => sum + bytes, 0);
}
