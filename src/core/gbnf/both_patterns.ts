import { Places } from "./bounded_pattern.ts";
import { type CharSet, charSet, complement } from "./char_set.ts";
import type { GrammarBuilder } from "./grammar_builder.ts";
import type { PatternNode } from "./pattern_parser.ts";

/** Pairs of places that are followed at once. */
const PAIRS_MAX = 1_000;

/** A place in either pattern, after the same character. */
interface Pair {
  readonly character: string;
  readonly isEnd: boolean;
  readonly next: readonly string[];
}

/**
 * An expression for the texts that two patterns share: each pair of their places is followed together. Undefined = too many
 * pairs, "none" = they share no text.
 */
export function bothPatterns(
  builder: GrammarBuilder,
  a: PatternNode,
  b: PatternNode,
): string | "none" | undefined {
  const [left, right] = [new Places(), new Places()];
  const [from, to] = [left.read(a), right.read(b)];
  if (from === undefined || to === undefined) return undefined;
  const pairs = new Map<string, Pair>();
  const reach = (lefts: Iterable<number>, rights: Iterable<number>): string[] => {
    const seconds = [...rights];
    return [...new Set(lefts)].flatMap((l) => seconds.map((r) => `${l} ${r}`));
  };
  const first = reach(from.first, to.first);
  const waiting = [...first];
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    if (pairs.has(key)) continue;
    builder.spend(1);
    const [l = 0, r = 0] = key.split(" ").map(Number);
    const character = builder.character(shared(left.sets[l] ?? [], right.sets[r] ?? []));
    if (character === undefined) continue;
    const next = reach(left.follow[l] ?? [], right.follow[r] ?? []);
    pairs.set(key, { character, next, isEnd: from.last.includes(l) && to.last.includes(r) });
    if (pairs.size > PAIRS_MAX) return undefined;
    waiting.push(...next);
  }
  return write(builder, {
    pairs: withEnds(pairs),
    first,
    canBeEmpty: from.canBeEmpty && to.canBeEmpty,
  });
}

/** The pairs from which a text can still end. */
function withEnds(pairs: ReadonlyMap<string, Pair>): ReadonlyMap<string, Pair> {
  const before = new Map<string, string[]>();
  for (const [key, { next }] of pairs) {
    for (const after of next) {
      const list = before.get(after) ?? [];
      list.push(key);
      before.set(after, list);
    }
  }
  const alive = new Set([...pairs].filter(([, pair]) => pair.isEnd).map(([key]) => key));
  for (const key of alive) for (const earlier of before.get(key) ?? []) alive.add(earlier);
  return new Map([...pairs].filter(([key]) => alive.has(key)));
}

function write(
  builder: GrammarBuilder,
  of: {
    readonly pairs: ReadonlyMap<string, Pair>;
    readonly first: readonly string[];
    readonly canBeEmpty: boolean;
  },
): string | "none" {
  const names = new Map([...of.pairs.keys()].map((key) => [key, builder.reserve("both")]));
  const steps = (keys: readonly string[]) =>
    keys.flatMap((key) => {
      const pair = of.pairs.get(key);
      return pair === undefined ? [] : [`${pair.character} ${names.get(key)}`];
    });
  for (const [key, { next, isEnd }] of of.pairs) {
    builder.define(names.get(key) ?? "", [...steps(next), ...isEnd ? [`""`] : []].join(" | "));
  }
  const choices = [...steps(of.first), ...of.canBeEmpty ? [`""`] : []];
  return choices.length === 0 ? "none" : builder.choice(choices);
}

function shared(a: CharSet, b: CharSet): CharSet {
  return complement(charSet([...complement(a), ...complement(b)]));
}
