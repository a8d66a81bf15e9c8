/** One operation of a client, as the client saw it. Times come from one clock; only their order counts. */
export interface Operation<Input, Output> {
  /** Operations with different keys never influence each other: each key is checked alone (P-compositionality). */
  readonly key: string;
  readonly input: Input;
  readonly invokedAt: number;
  /** Absent = nobody knows: it may have happened at any time after `invokedAt`, or never. */
  readonly outcome?: { readonly output: Output; readonly returnedAt: number };
}

/** The sequential specification of one key. States must be plain values whose `describe` tells unequal ones apart. */
export interface Specification<State, Input, Output> {
  readonly initial: State;
  /** The state after `input`, or undefined when `input` can't give `output` in `state`. `output` absent = any. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  describe(state: State): string;
}

/** What the checker found. */
export type Verdict =
  | { readonly kind: "linearizable" }
  | { readonly kind: "violation"; readonly key: string; readonly operations: number }
  /** The search was cut at the step limit: neither proved nor refuted. */
  | { readonly kind: "undecided"; readonly key: string };

/** Search steps per key at most. */
const STEPS_MAX = 5_000_000;

/**
 * Wing and Gong's search with Lowe's memory of (set of linearized operations, state) pairs: is there an order of the
 * operations that respects real time and the specification?
 */
export function checkLinearizable<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  specification: Specification<State, Input, Output>,
): Verdict {
  const keys = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const sameKey = keys.get(operation.key);
    if (sameKey === undefined) keys.set(operation.key, [operation]);
    else sameKey.push(operation);
  }
  for (const [key, operations] of keys) {
    const outcome = new Search(operations, specification).run();
    if (outcome === "found") continue;
    return outcome === "none"
      ? { kind: "violation", key, operations: operations.length }
      : { kind: "undecided", key };
  }
  return { kind: "linearizable" };
}

/** A call or a return in the linked list of what is not linearized yet, in order of time. */
interface Mark<Input, Output> {
  readonly operation: Operation<Input, Output>;
  readonly index: number;
  readonly kind: "call" | "return";
  /** The return of a call; absent when nobody knows it. */
  match: Mark<Input, Output> | undefined;
  previous: Mark<Input, Output>;
  next: Mark<Input, Output> | undefined;
}

class Search<State, Input, Output> {
  readonly #specification: Specification<State, Input, Output>;
  readonly #head: Mark<Input, Output>;
  readonly #certain: number;
  readonly #seen = new Set<string>();
  readonly #linearized: Uint32Array;

  constructor(
    operations: readonly Operation<Input, Output>[],
    specification: Specification<State, Input, Output>,
  ) {
    this.#specification = specification;
    this.#head = linkMarks(operations);
    this.#certain = operations.filter(({ outcome }) => outcome !== undefined).length;
    this.#linearized = new Uint32Array(Math.ceil(operations.length / 32));
  }

  run(): "found" | "none" | "undecided" {
    const chosen: { readonly mark: Mark<Input, Output>; readonly before: State }[] = [];
    let state = this.#specification.initial;
    let certainLeft = this.#certain;
    let mark = this.#head.next;
    for (let steps = 0; certainLeft > 0; steps++) {
      if (steps >= STEPS_MAX) return "undecided";
      if (mark !== undefined && mark.kind === "call") {
        const next = this.#try(mark, state);
        if (next !== undefined) {
          chosen.push({ mark, before: state });
          state = next.state;
          if (mark.match !== undefined) certainLeft--;
          lift(mark);
          mark = this.#head.next;
        } else {
          mark = mark.next;
        }
        continue;
      }
      // A return is reached before its call could be placed: the last choice was wrong.
      const last = chosen.pop();
      if (last === undefined) return "none";
      state = last.before;
      if (last.mark.match !== undefined) certainLeft++;
      this.#flip(last.mark.index);
      unlift(last.mark);
      mark = last.mark.next;
    }
    return "found";
  }

  /** The state with `mark` linearized next, or undefined when that is impossible or was tried before. */
  #try(mark: Mark<Input, Output>, state: State): { readonly state: State } | undefined {
    const { input, outcome } = mark.operation;
    const next = this.#specification.step(state, input, outcome?.output);
    if (next === undefined) return undefined;
    this.#flip(mark.index);
    const memory = `${this.#linearized.join(",")}|${this.#specification.describe(next)}`;
    if (this.#seen.has(memory)) {
      this.#flip(mark.index);
      return undefined;
    }
    this.#seen.add(memory);
    return { state: next };
  }

  #flip(index: number): void {
    const word = index >>> 5;
    this.#linearized[word] = (this.#linearized[word] ?? 0) ^ (1 << (index & 31));
  }
}

function linkMarks<Input, Output>(
  operations: readonly Operation<Input, Output>[],
): Mark<Input, Output> {
  const sentinel = {} as Mark<Input, Output>;
  const marks: { readonly at: number; readonly mark: Mark<Input, Output> }[] = [];
  for (const [index, operation] of operations.entries()) {
    const base = { operation, index, match: undefined, previous: sentinel, next: undefined };
    const call: Mark<Input, Output> = { ...base, kind: "call" };
    marks.push({ at: operation.invokedAt, mark: call });
    if (operation.outcome === undefined) continue;
    const back: Mark<Input, Output> = { ...base, kind: "return" };
    call.match = back;
    marks.push({ at: operation.outcome.returnedAt, mark: back });
  }
  // At one time calls come first: operations that touch are concurrent.
  const rank = ({ mark }: { mark: Mark<Input, Output> }) => mark.kind === "call" ? 0 : 1;
  marks.sort((a, b) => a.at - b.at || rank(a) - rank(b));
  let previous = sentinel;
  for (const { mark } of marks) {
    previous.next = mark;
    mark.previous = previous;
    previous = mark;
  }
  return sentinel;
}

/** Takes a call and its return out of the list. */
function lift<Input, Output>(mark: Mark<Input, Output>): void {
  remove(mark);
  if (mark.match !== undefined) remove(mark.match);
}

/** Puts both back where they were; exact, because choices are undone in reverse. */
function unlift<Input, Output>(mark: Mark<Input, Output>): void {
  if (mark.match !== undefined) insert(mark.match);
  insert(mark);
}

function remove<Input, Output>(mark: Mark<Input, Output>): void {
  mark.previous.next = mark.next;
  if (mark.next !== undefined) mark.next.previous = mark.previous;
}

function insert<Input, Output>(mark: Mark<Input, Output>): void {
  mark.previous.next = mark;
  if (mark.next !== undefined) mark.next.previous = mark;
}
