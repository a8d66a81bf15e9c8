import {
  errorMessage,
  isEdgeError,
  type NodeId,
  RequestError,
  UnavailableError,
} from "../../base/mod.ts";
import {
  askPeer,
  JOURNAL_PURPOSE,
  journalAnswerShape,
  MessageStream,
  openPurpose,
  type QuestionParts,
  readAnswer,
  required,
} from "../../calls/mod.ts";
import {
  type BookRefusal,
  DOUBTED_ACK_WAIT_MS,
  DOUBTED_OWNER_PATIENCE_MS,
  type Journal,
  JOURNAL_BYTES_MAX,
  type JournalBook,
  LINK_LOOK_MS,
  OWNER_PATIENCE_MS,
} from "../../core/journals/mod.ts";
import type {
  AnswerJournals,
  AnswerPlace,
  FollowedAnswer,
  JournalWork,
  Log,
  OwnJournal,
  PeerStream,
} from "../../ports/mod.ts";
import type { AnswerKey, JournalHead } from "../../protocol/mod.ts";
import type { ResponseMember } from "../shared_responses.ts";
import { begunWord, JournalLink } from "./journal_link.ts";
import { KeptJournal } from "./kept_journal.ts";

/** Other nodes that are asked for a journal. */
const PEERS_ASKED_MAX = 64;
/** Of these, who said nothing is named. */
const NAMES_TOLD_MAX = 8;
/** How often journals are looked at while nothing waits. Milliseconds. */
const LOOK_MS = 1_000;

/** What sharing takes. */
export interface SharedJournalsParts extends QuestionParts {
  readonly self: NodeId;
  readonly book: JournalBook;
  readonly members: () => readonly ResponseMember[];
  readonly ownAddress: () => string;
  readonly log: Log;
}

/** Where a journal was found. */
interface Holder {
  readonly member: ResponseMember;
  /** `lost`: it grew too large there. */
  readonly role: "own" | "copy" | "lost";
  readonly epoch: number;
  readonly byteCount: number;
  readonly fingerprint: string;
}

/** Whether another node has a journal. */
interface Question {
  readonly nodeId: NodeId;
  readonly sinceMs: number;
  readonly giveUp: () => void;
  /** Runs once the node is in doubt. */
  timer: { cancel(): void } | undefined;
}

/** What came of asking everybody for a journal. */
interface Search {
  readonly holder: Holder | undefined;
  readonly silent: readonly ResponseMember[];
}

/** Journals of answers on this node and one other. */
export class SharedJournals implements AnswerJournals {
  readonly #parts: SharedJournalsParts;
  readonly #link: JournalLink;
  /** Own journals that somebody here works with, by their names. */
  readonly #open = new Map<string, KeptJournal>();
  /** Of others, that are not answered yet. */
  readonly #questions = new Set<Question>();
  #work: JournalWork | undefined;
  #lookedMs = -Infinity;
  #timer: { cancel(): void } | undefined;
  #isClosed = false;

  constructor(parts: SharedJournalsParts) {
    this.#parts = parts;
    const { transport, clock, log, book } = parts;
    this.#link = new JournalLink({
      ...{ transport, clock, log, book },
      addressOf: (nodeId) => this.#memberOf(nodeId)?.address,
      onTakenOver: (key) => this.#lose(key),
    });
  }

  readonly ownAddress = (): string => this.#parts.ownAddress();

  attend(work: JournalWork): void {
    this.#work = work;
  }

  begin(head: JournalHead): OwnJournal {
    this.#watchClosely();
    const { book, clock } = this.#parts;
    const epoch = 0;
    const begun = book.begin(head, { role: { kind: "own" }, epoch, nowMs: clock.monotonicMs() });
    const journal = this.#journalOf(head, epoch, typeof begun === "string" ? begun : undefined);
    if (typeof begun !== "string") journal.announce(begun);
    return journal;
  }

  isBusy(key: AnswerKey): boolean {
    return this.#parts.book.find(key)?.state === "working";
  }

  reopen(key: JournalHead): OwnJournal {
    this.#watchClosely();
    const { book, clock } = this.#parts;
    book.setState(key, "working", clock.monotonicMs());
    const found = book.find(key);
    const journal = this.#journalOf(key, found?.epoch ?? 0, found ? undefined : "too_many");
    if (found !== undefined) journal.announce(found);
    return journal;
  }

  async find(key: AnswerKey): Promise<Pick<JournalHead, "fingerprint"> | undefined> {
    const kept = this.#parts.book.find(key);
    if (kept !== undefined) return kept.head;
    const { holder } = await this.#search(key);
    return holder?.role === "lost" ? undefined : holder;
  }

  async follow(
    place: AnswerPlace,
    signal: AbortSignal,
    { asksOthers = true }: { readonly asksOthers?: boolean } = {},
  ): Promise<FollowedAnswer | undefined> {
    const { book } = this.#parts;
    const kept = book.find(place);
    if (kept === undefined) return asksOthers ? await this.#followThere(place, signal) : undefined;
    // Whoever showed more of it has gone on by himself, and may do so yet.
    if (place.offset > kept.byteCount) throw beyond(place, kept);
    if (kept.role.kind === "copy" && kept.state !== "ended") {
      const maker = this.#memberOf(kept.role.of);
      const mayLive = maker?.standing === "alive" || maker?.standing === "suspect";
      const held = mayLive && asksOthers ? await this.#ask(maker, place) : undefined;
      if (maker !== undefined && isHolder(held) && held.role === "own") {
        return await this.#followAt(maker, place, signal);
      }
      this.#takeOver(place);
    }
    return await this.#followHere(place, signal);
  }

  /**
   * Who is there, or in doubt, has changed. A second node in doubt is left before it lets bytes wait for long, and one that is
   * asked for an answer has little time left.
   */
  membersChanged(): void {
    if (this.#timer !== undefined) {
      this.#link.choose(this.#partners());
      this.#parts.clock.after(DOUBTED_ACK_WAIT_MS, () => this.#link.look());
    }
    for (const question of this.#questions) this.#hurry(question);
  }

  /** There may be journals from now on: until there are none, they are looked at. */
  watch(): void {
    if (this.#timer === undefined && !this.#isClosed) this.#look();
  }

  /** Bytes of an answer that is made here may come to wait at any time. */
  #watchClosely(): void {
    if (this.#open.size > 0 || this.#isClosed) return this.watch();
    this.#timer?.cancel();
    this.#look(LINK_LOOK_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#link.close();
  }

  /**
   * @throws RequestError `invalid_request` with status 410 for what is kept no longer; UnavailableError `peer_lost` while
   *   somebody who may have it says nothing.
   */
  async #followThere(
    place: AnswerPlace,
    signal: AbortSignal,
  ): Promise<FollowedAnswer | undefined> {
    const { book, clock } = this.#parts;
    const { holder, silent } = await this.#search(place);
    if (holder !== undefined && holder.role !== "lost") {
      return await this.#followAt(holder.member, place, signal);
    }
    if (holder !== undefined || book.isLost(place, clock.monotonicMs())) throw outgrown();
    if (silent.length > 0) throw unknown(silent);
    return undefined;
  }

  async #followHere(
    place: AnswerPlace,
    signal: AbortSignal,
  ): Promise<FollowedAnswer | undefined> {
    const kept = this.#parts.book.find(place);
    if (kept === undefined) return undefined;
    const { head, opening, entries, state } = kept;
    const shown = { head, entries, state, ...(opening === undefined ? {} : { opening }) };
    return await this.#work?.follow(shown, place.offset, signal);
  }

  /** Its node says nothing more of it. */
  #takeOver(key: AnswerKey): void {
    const { book, clock, log } = this.#parts;
    const taken = book.takeOver(key, clock.monotonicMs());
    if (taken === undefined) return;
    log.log("info", "answer_taken_over", { answer: key.id, bytes: taken.byteCount });
    void this.#link.say(begunWord(taken));
  }

  /** Another node goes on with it: nothing more may be said here. */
  #lose(key: AnswerKey): void {
    this.#open.get(nameOf(key))?.lose();
    this.#parts.book.drop(key);
  }

  #journalOf(head: JournalHead, epoch: number, refusal: BookRefusal | undefined): KeptJournal {
    const { book, clock } = this.#parts;
    const name = nameOf(head);
    this.#open.get(name)?.lose();
    const journal = new KeptJournal({
      ...{ head, epoch, refusal, book, clock, link: this.#link },
      onOver: (over) => {
        if (this.#open.get(name) === over) this.#open.delete(name);
      },
    });
    this.#open.set(name, journal);
    return journal;
  }

  /** Whoever works on it, else the one who knows most of it; and who was asked and has not answered. */
  async #search(key: AnswerKey): Promise<Search> {
    const members = this.#members("alive", "suspect").slice(0, PEERS_ASKED_MAX);
    const asked = members.map((member) => this.#ask(member, key));
    const owning = asked.map(async (one) => {
      const holder = await one;
      if (isHolder(holder) && holder.role === "own") return holder;
      throw new UnavailableError("peer_lost", "Others may have it");
    });
    const owner = await Promise.any(owning).catch(() => undefined);
    if (owner !== undefined) return { holder: owner, silent: [] };
    const told = await Promise.all(asked);
    const isLost = ({ role }: Holder) => role === "lost" ? 1 : 0;
    const [holder] = told.filter(isHolder).sort((a, b) =>
      isLost(a) - isLost(b) || b.epoch - a.epoch || b.byteCount - a.byteCount
    );
    return { holder, silent: members.filter((_, index) => told[index] === "silent") };
  }

  /** Undefined = it has none. */
  async #ask(member: ResponseMember, key: AnswerKey): Promise<Holder | "silent" | undefined> {
    const { promise: silent, resolve } = Promise.withResolvers<"silent">();
    const question: Question = {
      nodeId: member.address.nodeId,
      sinceMs: this.#parts.clock.monotonicMs(),
      giveUp: () => resolve("silent"),
      timer: undefined,
    };
    this.#questions.add(question);
    this.#hurry(question);
    try {
      return await Promise.race([this.#answerOf(member, key), silent]);
    } finally {
      this.#questions.delete(question);
      question.timer?.cancel();
    }
  }

  /** Who is in doubt has less time to answer. */
  #hurry(question: Question): void {
    const { nodeId, sinceMs, giveUp } = question;
    if (question.timer !== undefined || this.#memberOf(nodeId)?.standing === "alive") return;
    const { clock } = this.#parts;
    const leftMs = sinceMs + DOUBTED_OWNER_PATIENCE_MS - clock.monotonicMs();
    question.timer = clock.after(Math.max(0, leftMs), giveUp);
  }

  async #answerOf(
    member: ResponseMember,
    { id, owner }: AnswerKey,
  ): Promise<Holder | "silent" | undefined> {
    const opening = { purpose: JOURNAL_PURPOSE, act: "find", id, owner, offset: 0 };
    const to = { peer: member.address, opening, waitMs: OWNER_PATIENCE_MS };
    try {
      return await askPeer(this.#parts, to, (message) => {
        const found = readAnswer(journalAnswerShape, "found", message);
        const { epoch, byteCount, fingerprint } = found;
        const role = found.isLost === true ? "lost" : found.role;
        return role && { member, role, epoch, byteCount, fingerprint };
      });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      const shown = { peer: member.address.nodeId, reason: errorMessage(error) };
      this.#parts.log.log("debug", "journal_not_asked_for", shown);
      return "silent";
    }
  }

  async #followAt(
    { address }: ResponseMember,
    place: AnswerPlace,
    signal: AbortSignal,
  ): Promise<FollowedAnswer | undefined> {
    const { id, owner, offset } = place;
    const opening = { purpose: JOURNAL_PURPOSE, act: "follow", id, owner, offset };
    const stream = await openPurpose(
      this.#parts.transport,
      { peer: address, opening },
      signal,
    );
    // Who waits for the first word may leave as well: else he would wait there for ever.
    const end = () => stream.reset();
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    try {
      const messages = new MessageStream(stream);
      const first = await messages.read();
      if (first === undefined) throw brokenOff();
      if (anyAnswer(first).kind === "over") {
        end();
        return undefined;
      }
      const { status, contentType } = readAnswer(journalAnswerShape, "opening", first);
      return { opening: { status, contentType }, bytes: bytesFrom(stream, messages) };
    } catch (error) {
      end();
      throw error;
    }
  }

  #look(afterMs = this.#open.size > 0 ? LINK_LOOK_MS : LOOK_MS): void {
    const { clock, book } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs >= this.#lookedMs + LOOK_MS) {
      this.#lookedMs = nowMs;
      this.#link.choose(this.#partners());
      book.expire(nowMs);
    } else this.#link.look();
    this.#timer = clock.after(afterMs, () => {
      this.#timer = undefined;
      if (book.size > 0) this.#look();
    });
  }

  /** The next ones in the order of ids, beginning behind this one: so everybody is the second node of one other. */
  #partners(): { readonly peers: readonly NodeId[]; readonly doubted: readonly NodeId[] } {
    const ids = this.#members("alive").filter(({ drained }) => !drained)
      .map(({ address }) => address.nodeId).sort();
    const { self } = this.#parts;
    return {
      peers: [...ids.filter((id) => id > self), ...ids.filter((id) => id < self)],
      doubted: this.#members("suspect").map(({ address }) => address.nodeId),
    };
  }

  #members(...standings: readonly ResponseMember["standing"][]): readonly ResponseMember[] {
    return this.#parts.members().filter(({ standing }) => standings.includes(standing));
  }

  #memberOf(nodeId: NodeId): ResponseMember | undefined {
    return this.#parts.members().find(({ address }) => address.nodeId === nodeId);
  }
}

async function* bytesFrom(
  stream: PeerStream,
  messages: MessageStream,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const message = await messages.read();
      if (message === undefined) throw brokenOff();
      const told = anyAnswer(message);
      if (told.kind === "over") {
        if (told.isWhole) return;
        throw brokenOff();
      }
      yield readAnswer(journalAnswerShape, "bytes", message).bytes;
    }
  } finally {
    stream.reset();
  }
}

/** @throws PeerError `malformed_frame`. */
function anyAnswer(message: unknown) {
  return required(journalAnswerShape, message);
}

function nameOf({ id, owner }: AnswerKey): string {
  return `${owner}\n${id}`;
}

function beyond({ offset }: AnswerPlace, { byteCount }: Journal): RequestError {
  const text = `offset: the answer has ${byteCount} bytes so far, got ${offset}`;
  return new RequestError("invalid_request", text, { status: 416 });
}

function isHolder(said: Holder | "silent" | undefined): said is Holder {
  return said !== undefined && said !== "silent";
}

/** It may be there all the same. */
function unknown(silent: readonly ResponseMember[]): UnavailableError {
  const names = silent.slice(0, NAMES_TOLD_MAX).map(({ name, address }) => name || address.nodeId);
  const text = `no node that answers has this answer, and ${silent.length} said nothing: ${
    names.join(", ")
  }`;
  return new UnavailableError("peer_lost", text, { retryAfterMs: LOOK_MS });
}

function outgrown(): RequestError {
  const text = `the answer is kept no longer: with what it takes to go on with it, it outgrew ${
    JOURNAL_BYTES_MAX / 2 ** 20
  } MiB or the room for answers; it has to be asked for again`;
  return new RequestError("invalid_request", text, { status: 410 });
}

function brokenOff(): UnavailableError {
  return new UnavailableError("peer_lost", "the node that tells the answer says no more of it");
}
