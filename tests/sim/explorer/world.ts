import { type NodeId, Random } from "../../../src/base/mod.ts";
import { foundingSnapshot, RAFT_DEFAULTS, RaftNode } from "../../../src/core/raft/mod.ts";
import type { Entry, RaftMessage } from "../../../src/protocol/mod.ts";
import { MemoryLog } from "../memory_log.ts";
import { idOf } from "../raft_group.ts";

/** How often each kind of move may happen on one path. What bounds the search. */
export interface Budget {
  readonly campaigns: number;
  readonly proposals: number;
  readonly crashes: number;
  readonly drops: number;
  readonly duplicates: number;
  /** Messages delivered before an older one of the same link; all others arrive in order. */
  readonly overtakes: number;
}

/**
 * One move. Messages are named by content, not by place, so that a path means the same in whatever order others were
 * sent. `crash`: the node loses all but its disk right after the move, before it wrote or sent anything.
 */
export type Move =
  | { readonly kind: "campaign" | "propose"; readonly node: number; readonly crash: boolean }
  | { readonly kind: "deliver"; readonly message: string; readonly crash: boolean }
  | { readonly kind: "repeat" | "drop"; readonly message: string }
  | { readonly kind: "crash"; readonly node: number };

interface Member {
  readonly id: NodeId;
  node: RaftNode;
  readonly log: MemoryLog;
}

const NODE_COUNT = 3;

/** A whole cluster in one place, to be driven move by move. Throws on the first broken invariant. */
export class World {
  readonly #members: Member[];
  /** In transit, each under its content, oldest first. */
  #messages: string[] = [];
  readonly #left: { -readonly [Kind in keyof Budget]: number };
  /** What was ever committed, by index, and the term it was first seen committed in. */
  readonly #committed = new Map<number, { readonly content: string; readonly byTerm: number }>();
  readonly #leaders = new Map<number, NodeId>();
  readonly #votes = new Map<string, NodeId>();
  #serial = 0;

  constructor(budget: Budget) {
    this.#left = { ...budget };
    const ids = Array.from({ length: NODE_COUNT }, (_, at) => idOf(at + 1));
    this.#members = ids.map((id) => {
      const log = new MemoryLog(foundingSnapshot(ids, new Uint8Array()));
      return { id, log, node: start(id, log) };
    });
  }

  /** Every move that is possible now, in a fixed order. */
  moves(): Move[] {
    const moves: Move[] = [];
    const left = this.#left;
    const crashes = left.crashes > 0 ? [false, true] : [false];
    for (const [node, member] of this.#members.entries()) {
      const { role } = member.node.view();
      for (const crash of crashes) {
        // Nodes are alike until one campaigns, so the first to do so may as well be the first one.
        const isChoice = node === 0 || this.#members.some((other) => other.log.hardState.term > 0);
        if (left.campaigns > 0 && role !== "leader" && isChoice) {
          moves.push({ kind: "campaign", node, crash });
        }
        if (left.proposals > 0 && role === "leader") moves.push({ kind: "propose", node, crash });
      }
      if (left.crashes > 0) moves.push({ kind: "crash", node });
    }
    const heads = new Set<string>();
    for (const message of new Set(this.#messages)) {
      if (left.drops > 0) moves.push({ kind: "drop", message });
      const isHead = !heads.has(linkOf(message));
      heads.add(linkOf(message));
      if (!isHead && left.overtakes === 0) continue;
      for (const crash of crashes) moves.push({ kind: "deliver", message, crash });
      if (left.duplicates > 0) moves.push({ kind: "repeat", message });
    }
    return moves;
  }

  /** Makes one move and checks what must hold. @throws {Error} naming the broken invariant. */
  make(move: Move): void {
    const touched = this.#act(move);
    if (touched !== undefined) {
      if (move.kind === "crash" || ("crash" in move && move.crash)) this.#restart(touched);
      else this.#settle(touched);
      this.#check(touched);
    }
    this.#forgetVoid();
  }

  /** Messages of a term that their receiver has durably left can change nothing any more, so they may as well be gone. */
  #forgetVoid(): void {
    const terms = new Map(this.#members.map(({ id, log }) => [id, log.hardState.term]));
    this.#messages = this.#messages.filter((text) => {
      const message = decode(text);
      return !("term" in message) || message.term >= (terms.get(message.to) ?? 0);
    });
  }

  /** All that decides what can happen from here on. Equal keys have equal futures. */
  key(): string {
    const members = this.#members.map(({ node, log }) => {
      const entries = log.entries(log.firstIndex(), log.lastIndex() + 1, Infinity) ?? [];
      return [node.view(), log.hardState, entries.map(contentOf)];
    });
    // In order within a link, which is what counts.
    const links = Object.entries(Object.groupBy(this.#messages, linkOf)).toSorted(byName);
    return JSON.stringify([members, links, this.#left, [...this.#committed]]);
  }

  #act(move: Move): Member | undefined {
    switch (move.kind) {
      case "campaign": {
        this.#left.campaigns--;
        const member = this.#member(move.node);
        member.node.campaign();
        return member;
      }
      case "propose": {
        this.#left.proposals--;
        const member = this.#member(move.node);
        member.node.propose(Uint8Array.of(++this.#serial));
        return member;
      }
      case "crash":
        return this.#member(move.node);
      case "drop":
        this.#left.drops--;
        this.#take(move.message);
        return undefined;
      case "repeat":
        this.#left.duplicates--;
        this.#countOvertake(move.message);
        return this.#deliver(move.message);
      case "deliver":
        this.#countOvertake(move.message);
        this.#take(move.message);
        return this.#deliver(move.message);
    }
  }

  #member(node: number): Member {
    const member = this.#members[node];
    if (member === undefined) throw new RangeError(`There is no node ${node}`);
    return member;
  }

  #take(message: string): void {
    this.#messages.splice(this.#messages.indexOf(message), 1);
  }

  #countOvertake(message: string): void {
    const link = linkOf(message);
    if (this.#messages.find((other) => linkOf(other) === link) !== message) this.#left.overtakes--;
  }

  #deliver(text: string): Member {
    const message = decode(text);
    const member = this.#member(this.#members.findIndex(({ id }) => id === message.to));
    const outcome = member.node.step(message);
    if (outcome.kind === "refused" && outcome.reason !== "proposal_dropped") {
      throw new Error(`A correct node's message was refused: ${outcome.reason} ${outcome.detail}`);
    }
    return member;
  }

  #restart(member: Member): void {
    this.#left.crashes--;
    member.node = start(member.id, member.log);
    this.#settle(member);
  }

  #settle({ node, log, id }: Member): void {
    while (node.hasReady()) {
      const ready = node.ready();
      if (ready.hardState !== undefined) log.hardState = ready.hardState;
      log.append(ready.entries);
      for (const message of ready.messages) this.#messages.push(encode(message));
      for (const entry of ready.committed) this.#checkCommitted(entry, node.view().term);
      node.advance();
    }
    const { term, vote } = log.hardState;
    if (vote !== undefined) this.#checkOnce(this.#votes, `${id} ${term}`, vote, "voted twice");
  }

  #checkOnce<Key>(seen: Map<Key, NodeId>, key: Key, value: NodeId, claim: string): void {
    const before = seen.get(key) ?? value;
    if (before !== value) throw new Error(`${key} ${claim}: ${before} and ${value}`);
    seen.set(key, value);
  }

  #checkCommitted(entry: Entry, term: number): void {
    const known = this.#committed.get(entry.index);
    const content = contentOf(entry);
    if (known === undefined) this.#committed.set(entry.index, { content, byTerm: term });
    else if (known.content !== content) {
      throw new Error(`State machine safety: ${entry.index} is ${known.content} and ${content}`);
    }
  }

  #check({ node, log }: Member): void {
    const view = node.view();
    if (view.role !== "leader") return;
    this.#checkOnce(this.#leaders, view.term, view.id, "has two leaders");
    for (const [index, { content, byTerm }] of this.#committed) {
      if (byTerm >= view.term) continue;
      const [own] = log.entries(index, index + 1, Infinity) ?? [];
      if (own === undefined || contentOf(own) !== content) {
        throw new Error(`Leader completeness: leader of ${view.term} lacks ${content} at ${index}`);
      }
    }
  }
}

function start(id: NodeId, log: MemoryLog): RaftNode {
  const options = { ...RAFT_DEFAULTS, id, preVote: false, checkQuorum: false, applied: 1 };
  return new RaftNode(options, log, new Random(1));
}

function linkOf(text: string): string {
  const { from, to } = decode(text);
  return `${from}>${to}`;
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function contentOf(entry: Entry): string {
  return `${entry.term}:${entry.kind === "command" ? entry.data.join() : "change"}`;
}

const DECODED = new Map<string, RaftMessage>();

/** Bytes as numbers, so that equal messages are equal texts. */
function encode(message: RaftMessage): string {
  return JSON.stringify(
    message,
    (_, value) => value instanceof Uint8Array ? { bytes: [...value] } : value,
  );
}

function decode(text: string): RaftMessage {
  const known = DECODED.get(text);
  if (known !== undefined) return known;
  const message: RaftMessage = JSON.parse(
    text,
    (_, value) =>
      value !== null && Array.isArray(value?.bytes) ? Uint8Array.from(value.bytes) : value,
  );
  // Few different messages exist; each is asked for in every state.
  DECODED.set(text, message);
  return message;
}
