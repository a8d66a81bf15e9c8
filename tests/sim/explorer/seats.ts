import type { RaftMessage, VoteResponse } from "../../../src/protocol/mod.ts";
import { Interner, PairTable } from "./interning.ts";
import type { Fact, Facts, Input, Members, Reaction } from "./members.ts";
import { NODE_COUNT, numberOf, PERMUTATIONS, renamed } from "./messages.ts";

/** What a move takes from the budget, as bits. */
export const COST = { campaign: 1, propose: 2, crash: 4, tick: 8 } as const;

/** What a move makes visible to the checks. */
export interface Events {
  readonly leads: number | undefined;
  readonly term: number;
  readonly applied: readonly Fact[];
}

/** Something that can happen to one node now. */
export interface Move {
  readonly input: Input;
  /** Bits of {@link COST}. */
  readonly cost: number;
  readonly died: boolean;
  readonly member: number;
  /** Per receiver what the node sends it, -1 = nothing. */
  readonly batches: readonly number[];
  /** -1 = nothing that anyone checks. */
  readonly events: number;
  readonly broken: string | undefined;
}

/**
 * A node together with all that was ever sent to it and could still matter: nothing is ever taken away, so each message
 * may come at any time, in any order, any number of times, or never.
 */
export class Seats {
  readonly members: Members;
  readonly events = new Interner<Events>();
  readonly #inboxes = new Interner<readonly number[]>();
  readonly #batches = new Interner<readonly number[]>();
  readonly #numbers = new PairTable();
  readonly #memberOf: number[] = [];
  readonly #inboxOf: number[] = [];
  readonly #delivered = new PairTable();
  readonly #became = new PairTable();
  readonly #renamed = new PairTable();
  readonly #moves = new Map<number, readonly Move[]>();
  readonly #proposals = new PairTable();
  readonly #proposalMoves: (readonly Move[])[] = [];

  constructor(members: Members) {
    this.members = members;
  }

  initial(node: number): number {
    return this.#seat(this.members.initial(node), []);
  }

  memberOf(seat: number): number {
    return this.#memberOf[seat] ?? 0;
  }

  /** The seat once `batch` was sent to it; -1 = nothing was. */
  deliver(seat: number, batch: number): number {
    if (batch < 0) return seat;
    const known = this.#delivered.get(seat, batch);
    if (known >= 0) return known;
    const letters = [...this.#inboxes.get(this.#inboxOf[seat] ?? 0), ...this.#batches.get(batch)];
    const found = this.#seat(this.memberOf(seat), letters);
    this.#delivered.set(seat, batch, found);
    return found;
  }

  /** The seat once its node is another one. */
  become(seat: number, member: number): number {
    const known = this.#became.get(seat, member);
    if (known >= 0) return known;
    const found = this.#seat(member, this.#inboxes.get(this.#inboxOf[seat] ?? 0));
    this.#became.set(seat, member, found);
    return found;
  }

  rename(seat: number, permutation: number): number {
    const known = this.#renamed.get(seat, permutation);
    if (known >= 0) return known;
    const letters = this.#inboxes.get(this.#inboxOf[seat] ?? 0)
      .map((letter) => this.members.messages.rename(letter, permutation));
    const found = this.#seat(this.members.rename(this.memberOf(seat), permutation), letters);
    this.#renamed.set(seat, permutation, found);
    return found;
  }

  /** All but proposals, which depend on how many there were. */
  moves(seat: number): readonly Move[] {
    const known = this.#moves.get(seat);
    if (known !== undefined) return known;
    const member = this.memberOf(seat);
    const isLeader = this.members.facts(member).role === "leader";
    const moves = [
      ...this.#inboxes.get(this.#inboxOf[seat] ?? 0).flatMap((letter) =>
        this.#movesBy(member, { kind: "deliver", letter }, 0)
      ),
      ...isLeader
        ? this.#movesBy(member, { kind: "tick" }, COST.tick)
        : this.#movesBy(member, { kind: "campaign" }, COST.campaign),
      ...this.#movesBy(member, { kind: "restart" }, COST.crash),
    ];
    this.#moves.set(seat, moves);
    return moves;
  }

  /** What proposal number `serial` does. */
  proposals(seat: number, serial: number): readonly Move[] {
    const member = this.memberOf(seat);
    if (this.members.facts(member).role !== "leader") return [];
    const known = this.#proposals.get(member, serial);
    if (known >= 0) return this.#proposalMoves[known] ?? [];
    const moves = this.#movesBy(member, { kind: "propose", serial }, COST.propose);
    this.#proposals.set(member, serial, this.#proposalMoves.length);
    this.#proposalMoves.push(moves);
    return moves;
  }

  #movesBy(member: number, input: Input, cost: number): Move[] {
    return this.members.react(member, input)
      .filter((reaction) =>
        reaction.next !== member || reaction.sent.length > 0 ||
        reaction.applied.length > 0 || reaction.broken !== undefined
      )
      .map((reaction) => ({
        input,
        cost: cost | (reaction.died ? COST.crash : 0),
        died: reaction.died,
        member: reaction.next,
        batches: this.#sort(reaction.sent),
        events: this.#eventsOf(reaction),
        broken: reaction.broken,
      }));
  }

  #sort(sent: readonly number[]): number[] {
    return Array.from({ length: NODE_COUNT }, (_, to) => {
      const letters = sortedSet(
        sent.filter((letter) => this.members.messages.get(letter).to === to),
      );
      return letters.length === 0 ? -1 : this.#batches.intern(letters.join(), () => letters);
    });
  }

  #eventsOf({ leads, term, applied }: Reaction): number {
    if (leads === undefined && applied.length === 0) return -1;
    return this.events.intern(
      JSON.stringify([leads, term, applied]),
      () => ({ leads, term, applied }),
    );
  }

  #seat(member: number, letters: readonly number[]): number {
    const { messages } = this.members;
    const facts = this.members.facts(member);
    const furthest = furthestAcks(letters.map((letter) => messages.get(letter).message), facts);
    const told = new Set<string>();
    const live = sortedSet(letters).filter((letter) => {
      const { message } = messages.get(letter);
      if (!matters(message, facts, furthest)) return false;
      if (message.kind !== "vote_response" || counts(message, facts)) return true;
      // What it tells to be committed is all that is left of it, so who tells it is all the same.
      const { term, index } = message.committed;
      const isNews = !told.has(`${term}/${index}`);
      told.add(`${term}/${index}`);
      return isNews;
    });
    const inbox = this.#inboxes.intern(live.join(), () => live);
    const known = this.#numbers.get(member, inbox);
    if (known >= 0) return known;
    const seat = this.#memberOf.length;
    this.#numbers.set(member, inbox, seat);
    this.#memberOf.push(member);
    this.#inboxOf.push(inbox);
    return seat;
  }
}

/** Per follower the furthest entry that a leader knows, or can know, to be acknowledged in its term. */
function furthestAcks(messages: readonly RaftMessage[], leader: Facts): readonly number[] {
  const furthest = Array.from(
    { length: NODE_COUNT },
    (_, peer) => leader.peers.find(({ node }) => node === peer)?.match ?? 0,
  );
  for (const message of messages) {
    if (message.kind !== "append_response" || message.rejection !== undefined) continue;
    const from = numberOf(message.from);
    if (message.term === leader.term) furthest[from] = Math.max(furthest[from] ?? 0, message.index);
  }
  return furthest;
}

/**
 * False when a message may as well be gone.
 *
 * Either it can never change its receiver any more, nor make it answer, whatever happens: terms, commit indexes and what
 * is acknowledged within a term never fall, and nobody leads or campaigns again in a term in which he stopped to.
 *
 * Or something else covers it. Of a follower's acknowledgements only the furthest counts: the leader could as well have
 * taken the others before that one was sent, because no follower waits for what a leader makes of acknowledgements. And
 * a follower that has stored, acknowledged and learnt to be committed all that an append holds can only acknowledge it
 * once more, and no further. Where it died between storing and acknowledging, a shorter acknowledgement is left out with
 * that, which an older append repeated after its death would have called forth.
 */
function matters(message: RaftMessage, receiver: Facts, furthest: readonly number[]): boolean {
  if (!("term" in message) || message.term > receiver.term) return true;
  if (message.term < receiver.term) return false;
  const from = numberOf(message.from);
  switch (message.kind) {
    case "vote_response":
      return counts(message, receiver) || message.committed.index > receiver.committed;
    case "append_response":
      if (receiver.role !== "leader") return receiver.role === "candidate";
      return message.index >= (furthest[from] ?? 0);
    case "heartbeat_response":
      return receiver.role === "leader" || receiver.role === "candidate";
    case "append_request": {
      if (receiver.role !== "follower" || receiver.leader !== from) return true;
      const last = message.previous.index + message.entries.length;
      return last > receiver.acked || receiver.committed > receiver.acked ||
        Math.min(message.commit, last) > receiver.committed;
    }
    default:
      return true;
  }
}

/** True when a vote is still waited for. */
function counts(message: VoteResponse, receiver: Facts): boolean {
  if (message.term > receiver.term) return true;
  const counted = [...receiver.granted, ...receiver.denied];
  return receiver.role === "candidate" && !counted.includes(numberOf(message.from));
}

/** What the whole group has done so far, as far as the checks need to know. */
interface Past {
  /** Who led each term, -1 = nobody. */
  readonly leaders: readonly number[];
  /** What was applied at each index from the second on, and the term of the node that first did. */
  readonly applied: readonly { readonly content: string; readonly byTerm: number }[];
}

/** The first entry has the index that the founding snapshot has. */
const FIRST_INDEX = 2;

/** A broken promise of the group. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** Pasts of the group, as numbers. */
export class Pasts {
  readonly #seats: Seats;
  readonly #pasts = new Interner<Past>();
  readonly #after = new PairTable();
  readonly #renamed = new PairTable();
  readonly #checked = new PairTable();

  constructor(seats: Seats) {
    this.#seats = seats;
  }

  initial(): number {
    return this.#intern({ leaders: [], applied: [] });
  }

  /** @throws {Broken} when two lead one term, or two nodes apply different entries at one index. */
  after(past: number, node: number, events: number): number {
    if (events < 0) return past;
    const known = this.#after.get(past * NODE_COUNT + node, events);
    if (known >= 0) return known;
    const { leads, term, applied } = this.#seats.events.get(events);
    const before = this.#pasts.get(past);
    const leaders = [...before.leaders];
    if (leads !== undefined) {
      for (let at = leaders.length; at <= leads; at++) leaders.push(-1);
      const other = leaders[leads] ?? -1;
      if (other >= 0 && other !== node) {
        throw new Broken(`Election safety: two nodes lead term ${leads}`);
      }
      leaders[leads] = node;
    }
    const all = [...before.applied];
    for (const { index, content } of applied) {
      const first = all[index - FIRST_INDEX];
      if (first === undefined) all[index - FIRST_INDEX] = { content, byTerm: term };
      else if (first.content !== content) {
        throw new Broken(`State machine safety: ${first.content} and ${content} at ${index}`);
      }
    }
    const found = this.#intern({ leaders, applied: all });
    this.#after.set(past * NODE_COUNT + node, events, found);
    return found;
  }

  /** @throws {Broken} when a leader lacks what was applied in an earlier term. */
  check(past: number, seat: number): void {
    const member = this.#seats.memberOf(seat);
    if (this.#checked.get(past, member) >= 0) return;
    const { role, term, log } = this.#seats.members.facts(member);
    for (const [at, { content, byTerm }] of this.#pasts.get(past).applied.entries()) {
      if (role !== "leader" || byTerm >= term || log[at] === content) continue;
      throw new Broken(
        `Leader completeness: leader of ${term} lacks ${content} at ${at + FIRST_INDEX}`,
      );
    }
    this.#checked.set(past, member, 1);
  }

  rename(past: number, permutation: number): number {
    const known = this.#renamed.get(past, permutation);
    if (known >= 0) return known;
    const { leaders, applied } = this.#pasts.get(past);
    const found = this.#intern({
      leaders: leaders.map((node) => node < 0 ? node : renamed(node, permutation)),
      applied,
    });
    this.#renamed.set(past, permutation, found);
    return found;
  }

  #intern(past: Past): number {
    return this.#pasts.intern(JSON.stringify(past), () => past);
  }
}

/** Ways to rename the nodes. */
export const RENAMINGS = PERMUTATIONS.length;

function sortedSet(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((left, right) => left - right);
}
