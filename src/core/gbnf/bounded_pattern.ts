import type { CharSet } from "./char_set.ts";
import type { GrammarBuilder } from "./grammar_builder.ts";
import type { PatternNode } from "./pattern_parser.ts";

/** Places in a pattern, repetitions written out, that a length may be counted beside. */
const PLACES_MAX = 400;
/** Rules that counting may take: one for each place and length. */
const COUNTED_RULES_MAX = 1_500;

/** How many characters a text may have; `max` Infinity = any number. */
export interface Lengths {
  readonly min: number;
  readonly max: number;
}

/** The lengths that texts of a pattern have. */
export function lengthsOf(node: PatternNode): Lengths {
  switch (node.kind) {
    case "characters":
      return { min: 1, max: 1 };
    case "sequence":
      return node.parts.map(lengthsOf).reduce(
        (sum, part) => ({ min: sum.min + part.min, max: sum.max + part.max }),
        { min: 0, max: 0 },
      );
    case "choice": {
      const parts = node.choices.map(lengthsOf);
      return {
        min: Math.min(...parts.map((part) => part.min)),
        max: Math.max(...parts.map((part) => part.max)),
      };
    }
    case "repeat": {
      const inner = lengthsOf(node.of);
      const max = inner.max === 0 || node.max === 0 ? 0 : inner.max * node.max;
      return { min: inner.min * node.min, max };
    }
    default:
      return { min: 0, max: 0 };
  }
}

/** Places before and behind which a part may stand, as numbers into the list of character sets. */
interface Part {
  readonly canBeEmpty: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/**
 * An expression for the texts of a pattern that have one of the lengths: each of the pattern's places is followed together
 * with the number of characters so far. Undefined = too many rules, "none" = no text has such a length.
 */
export function boundedPattern(
  builder: GrammarBuilder,
  node: PatternNode,
  lengths: Lengths,
): string | "none" | undefined {
  const places = new Places();
  const whole = places.read(node);
  // Without a largest length only the way to the smallest is counted.
  const counted = lengths.max === Infinity ? lengths.min : lengths.max;
  if (
    whole === undefined || countReached(places, { whole, lengths, counted }) > COUNTED_RULES_MAX
  ) {
    return undefined;
  }
  return new Counting(builder, { places, whole, lengths, counted }).text();
}

/** Pairs of a place and a number of characters that texts reach; more than the limit is not counted further. */
function countReached(
  places: Places,
  of: { readonly whole: Part; readonly lengths: Lengths; readonly counted: number },
): number {
  const { whole, lengths, counted } = of;
  const after = (count: number) =>
    lengths.max === Infinity ? Math.min(count + 1, counted) : count + 1;
  const width = counted + 2;
  const reached = new Set(whole.first.map((place) => place * width + after(0)));
  for (const key of reached) {
    if (reached.size > COUNTED_RULES_MAX) break;
    const [place, count] = [Math.floor(key / width), key % width];
    if (count >= lengths.max) continue;
    for (const next of places.follow[place] ?? []) reached.add(next * width + after(count));
  }
  return reached.size;
}

/** Glushkov's construction: which places of a pattern may follow each other. */
export class Places {
  readonly sets: CharSet[] = [];
  readonly follow: Set<number>[] = [];

  /** Undefined when there are too many. */
  read(node: PatternNode): Part | undefined {
    if (this.sets.length > PLACES_MAX) return undefined;
    switch (node.kind) {
      case "characters": {
        const place = this.sets.push(node.set) - 1;
        this.follow.push(new Set());
        return { canBeEmpty: false, first: [place], last: [place] };
      }
      case "sequence":
        return this.#sequence(node.parts);
      case "choice": {
        const parts = node.choices.map((choice) => this.read(choice));
        if (!parts.every((part) => part !== undefined)) return undefined;
        return {
          canBeEmpty: parts.some((part) => part.canBeEmpty),
          first: parts.flatMap((part) => part.first),
          last: parts.flatMap((part) => part.last),
        };
      }
      case "repeat":
        return this.#repeat(node);
      default:
        return { canBeEmpty: true, first: [], last: [] };
    }
  }

  #sequence(nodes: readonly PatternNode[]): Part | undefined {
    let whole: Part = { canBeEmpty: true, first: [], last: [] };
    for (const node of nodes) {
      const part = this.read(node);
      if (part === undefined) return undefined;
      this.#join(whole.last, part.first);
      whole = {
        canBeEmpty: whole.canBeEmpty && part.canBeEmpty,
        first: whole.canBeEmpty ? [...whole.first, ...part.first] : whole.first,
        last: part.canBeEmpty ? [...whole.last, ...part.last] : part.last,
      };
    }
    return whole;
  }

  #repeat(node: Extract<PatternNode, { kind: "repeat" }>): Part | undefined {
    const copies = node.max === Infinity ? Math.max(1, node.min) : node.max;
    if (copies > PLACES_MAX) return undefined;
    const parts: PatternNode[] = [];
    for (let copy = 0; copy < copies; copy++) {
      parts.push(
        copy < node.min ? node.of : { kind: "choice", choices: [node.of, EMPTY] },
      );
    }
    if (node.max !== Infinity || copies === 0) return this.#sequence(parts);
    const before = this.#sequence(parts.slice(0, -1));
    const again = this.read(parts.at(-1) ?? EMPTY);
    if (before === undefined || again === undefined) return undefined;
    this.#join(again.last, again.first);
    this.#join(before.last, again.first);
    return {
      canBeEmpty: before.canBeEmpty && again.canBeEmpty,
      first: before.canBeEmpty ? [...before.first, ...again.first] : before.first,
      last: again.canBeEmpty ? [...before.last, ...again.last] : again.last,
    };
  }

  #join(from: readonly number[], to: readonly number[]): void {
    for (const place of from) for (const next of to) this.follow[place]?.add(next);
  }
}

const EMPTY: PatternNode = { kind: "sequence", parts: [] };

/** Writes a rule for each place and number of characters that a text can go on from. */
class Counting {
  readonly #builder: GrammarBuilder;
  readonly #of: { places: Places; whole: Part; lengths: Lengths; counted: number };
  readonly #names = new Map<string, string>();
  /** By place and count: whether a text that is there can still end in time. */
  readonly #alive = new Map<string, boolean>();

  constructor(
    builder: GrammarBuilder,
    of: { places: Places; whole: Part; lengths: Lengths; counted: number },
  ) {
    this.#builder = builder;
    this.#of = of;
  }

  text(): string | "none" | undefined {
    const { whole, lengths } = this.#of;
    const choices = this.#next(whole.first, 0);
    if (whole.canBeEmpty && lengths.min === 0) choices.push(`""`);
    return choices.length === 0 ? "none" : this.#builder.choice(choices);
  }

  #next(places: Iterable<number>, count: number): string[] {
    const { lengths, counted, places: { sets } } = this.#of;
    if (count >= lengths.max) return [];
    const after = lengths.max === Infinity ? Math.min(count + 1, counted) : count + 1;
    return [...new Set(places)].flatMap((place) => {
      const character = this.#builder.character(sets[place] ?? []);
      if (character === undefined || !this.#canEnd(place, after)) return [];
      return [`${character} ${this.#rule(place, after)}`];
    });
  }

  #rule(place: number, count: number): string {
    const key = `${place} ${count}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    this.#builder.spend(1);
    const name = this.#builder.reserve("at");
    this.#names.set(key, name);
    const choices = this.#next(this.#of.places.follow[place] ?? [], count);
    if (this.#isEnd(place, count)) choices.push(`""`);
    this.#builder.define(name, choices.join(" | "));
    return name;
  }

  #isEnd(place: number, count: number): boolean {
    return this.#of.whole.last.includes(place) && count >= this.#of.lengths.min;
  }

  #canEnd(place: number, count: number): boolean {
    const key = `${place} ${count}`;
    const known = this.#alive.get(key);
    if (known !== undefined) return known;
    this.#builder.spend(1);
    // A circle that is being looked at leads nowhere new.
    this.#alive.set(key, this.#isEnd(place, count));
    if (this.#isEnd(place, count)) return true;
    const { lengths, counted, places } = this.#of;
    const after = lengths.max === Infinity ? Math.min(count + 1, counted) : count + 1;
    const canEnd = count < lengths.max &&
      [...places.follow[place] ?? []].some((next) => this.#canEnd(next, after));
    this.#alive.set(key, canEnd);
    return canEnd;
  }
}
