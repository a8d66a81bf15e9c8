import type { NodeId } from "../../../src/base/mod.ts";
import type { RaftMessage } from "../../../src/protocol/mod.ts";
import { idOf } from "../raft_group.ts";
import { Interner } from "./interning.ts";

/** Nodes of the explored group. */
export const NODE_COUNT = 3;
/** All ways to give three nodes each other's names; the first changes nothing. `p[i]` is the new name of node i. */
export const PERMUTATIONS: readonly (readonly number[])[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

const NOTHING = { term: 0, index: 0 };

/** The ids of the nodes, by number. */
export const IDS: readonly NodeId[] = Array.from(
  { length: NODE_COUNT },
  (_, node) => idOf(node + 1),
);

/** A node's number. */
export function numberOf(id: NodeId): number {
  return IDS.indexOf(id);
}

/** The node's name after a permutation. */
export function renamed(node: number, permutation: number): number {
  return PERMUTATIONS[permutation]?.[node] ?? node;
}

interface Letter {
  readonly message: RaftMessage;
  readonly to: number;
  /** 0 where the message has none. */
  readonly term: number;
}

/** Numbers for messages: equal content, equal number. */
export class Messages {
  readonly #letters = new Interner<Letter>();
  readonly #renamed = new Map<number, number>();
  readonly #tellsCommits: boolean;

  /** Without `tellsCommits`, votes that differ only in what they tell to be committed are one message. */
  constructor({ tellsCommits }: { readonly tellsCommits: boolean }) {
    this.#tellsCommits = tellsCommits;
  }

  intern(sent: RaftMessage): number {
    const message = "committed" in sent && !this.#tellsCommits
      ? { ...sent, committed: NOTHING }
      : sent;
    const key = JSON.stringify(
      message,
      (_, value) => value instanceof Uint8Array ? [...value] : value,
    );
    const term = "term" in message ? message.term : 0;
    return this.#letters.intern(key, () => ({ message, to: numberOf(message.to), term }));
  }

  get(letter: number): Letter {
    return this.#letters.get(letter);
  }

  /** The same message between nodes of other names. */
  rename(letter: number, permutation: number): number {
    const key = letter * PERMUTATIONS.length + permutation;
    const known = this.#renamed.get(key);
    if (known !== undefined) return known;
    const { message } = this.get(letter);
    const id = (old: NodeId) => IDS[renamed(numberOf(old), permutation)] ?? old;
    const number = this.intern({ ...message, from: id(message.from), to: id(message.to) });
    this.#renamed.set(key, number);
    return number;
  }
}
