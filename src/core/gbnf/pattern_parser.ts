import { type CharSet, charSet, complement } from "./char_set.ts";
import { SchemaRefusal } from "./refusal.ts";

/** Groups inside groups of one pattern at most. */
const PATTERN_DEPTH_MAX = 30;

/** Characters of one pattern at most. */
const PATTERN_CHARS_MAX = 8_000;

/** What a regular expression is made of. `start` and `end` are the anchors. */
export type PatternNode =
  | { readonly kind: "characters"; readonly set: CharSet }
  | { readonly kind: "sequence"; readonly parts: readonly PatternNode[] }
  | { readonly kind: "choice"; readonly choices: readonly PatternNode[] }
  | {
    readonly kind: "repeat";
    readonly of: PatternNode;
    readonly min: number;
    readonly max: number;
  }
  | { readonly kind: "start" | "end" };

const DIGITS: CharSet = [[0x30, 0x39]];
const WORD: CharSet = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const SPACE: CharSet = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const NEWLINES: CharSet = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]];
const NOT_NEWLINES = complement(NEWLINES);
const CLASSES: ReadonlyMap<string, CharSet> = new Map([
  ["d", DIGITS],
  ["D", complement(DIGITS)],
  ["w", WORD],
  ["W", complement(WORD)],
  ["s", SPACE],
  ["S", complement(SPACE)],
]);
const CONTROLS: ReadonlyMap<string, number> = new Map([
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["f", 0x0c],
  ["v", 0x0b],
  ["0", 0],
]);

/**
 * Parses the part of JavaScript's regular expressions that a grammar can follow: characters, classes, groups, choices,
 * repetitions, anchors. Look-around, back references and word borders are refused.
 */
export function parsePattern(pattern: string, at: string): PatternNode {
  if (pattern.length > PATTERN_CHARS_MAX) {
    throw new SchemaRefusal(at, `is longer than ${PATTERN_CHARS_MAX} characters`);
  }
  return new PatternParser(pattern, at).run();
}

class PatternParser {
  /** Whole characters, because a pattern's classes count code points here. */
  readonly #source: readonly string[];
  readonly #at: string;
  #next = 0;
  #depth = 0;

  constructor(pattern: string, at: string) {
    this.#source = [...pattern];
    this.#at = at;
  }

  run(): PatternNode {
    const node = this.#choice();
    if (this.#peek() !== "") this.#refuse(`unexpected "${this.#peek()}"`);
    return node;
  }

  #choice(): PatternNode {
    if (++this.#depth > PATTERN_DEPTH_MAX) this.#refuse("nests too many groups");
    const choices = [this.#sequence()];
    while (this.#skip("|")) choices.push(this.#sequence());
    this.#depth--;
    return choices.length === 1 && choices[0] !== undefined
      ? choices[0]
      : { kind: "choice", choices };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (!["", "|", ")"].includes(this.#peek())) parts.push(this.#quantified(this.#atom()));
    return { kind: "sequence", parts };
  }

  #atom(): PatternNode {
    const character = this.#take();
    switch (character) {
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case ".":
        return { kind: "characters", set: NOT_NEWLINES };
      case "(":
        return this.#group();
      case "[":
        return { kind: "characters", set: this.#class() };
      case "\\":
        return { kind: "characters", set: this.#escape() };
      case "*":
      case "+":
      case "?":
        return this.#refuse(`nothing stands before "${character}"`);
      default:
        return { kind: "characters", set: single(character) };
    }
  }

  #group(): PatternNode {
    if (this.#skip("?")) {
      const kind = this.#take();
      if (kind === "<" && !["=", "!"].includes(this.#peek())) {
        while (this.#take() !== ">");
      } else if (kind !== ":") {
        this.#refuse("look-around can't be put into a grammar");
      }
    }
    const inner = this.#choice();
    if (!this.#skip(")")) this.#refuse('")" is missing');
    return inner;
  }

  #quantified(node: PatternNode): PatternNode {
    const range = this.#quantifier();
    if (range === undefined) return node;
    // Lazy or greedy makes no difference to which texts match.
    this.#skip("?");
    if (node.kind === "start" || node.kind === "end") this.#refuse("repeats an anchor");
    return { kind: "repeat", of: node, ...range };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#skip("*")) return { min: 0, max: Infinity };
    if (this.#skip("+")) return { min: 1, max: Infinity };
    if (this.#skip("?")) return { min: 0, max: 1 };
    const rest = this.#source.slice(this.#next, this.#next + 24).join("");
    const counted = /^\{(\d+)(,(\d*))?\}/.exec(rest);
    if (counted === null) return undefined;
    const [whole, low = "", comma, high = ""] = counted;
    this.#next += whole.length;
    const min = Number(low);
    const max = comma === undefined ? min : high === "" ? Infinity : Number(high);
    if (min > max) this.#refuse(`numbers out of order in ${whole}`);
    return { min, max };
  }

  #class(): CharSet {
    const negated = this.#skip("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#skip("]")) {
      const low = this.#classItem();
      const point = low.length === 1 && low[0]?.[0] === low[0]?.[1] ? low[0]?.[0] : undefined;
      const isRange = point !== undefined && this.#peek() === "-" &&
        !["]", ""].includes(this.#peek(1));
      if (!isRange) {
        ranges.push(...low);
        continue;
      }
      this.#take();
      const high = this.#classItem()[0]?.[1] ?? 0;
      if (high < point) this.#refuse("range out of order in a class");
      ranges.push([point, high]);
    }
    return negated ? complement(charSet(ranges)) : charSet(ranges);
  }

  #classItem(): CharSet {
    const character = this.#take();
    if (character === "") this.#refuse('"]" is missing');
    if (character !== "\\") return single(character);
    if (this.#skip("b")) return [[8, 8]];
    return this.#escape();
  }

  /** What stands behind a backslash. */
  #escape(): CharSet {
    const letter = this.#take();
    const known = CLASSES.get(letter);
    if (known !== undefined) return known;
    const control = CONTROLS.get(letter);
    if (control !== undefined) return [[control, control]];
    const hexLength = letter === "x" ? 2 : letter === "u" ? 4 : 0;
    if (hexLength > 0) {
      const hex = this.#source.slice(this.#next, this.#next + hexLength).join("");
      if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < hexLength) this.#refuse("bad escape");
      this.#next += hexLength;
      const point = parseInt(hex, 16);
      return [[point, point]];
    }
    if (letter === "" || /[A-Za-z0-9]/.test(letter)) {
      this.#refuse(`"\\${letter}" can't be put into a grammar`);
    }
    return single(letter);
  }

  #peek(ahead = 0): string {
    return this.#source[this.#next + ahead] ?? "";
  }

  #take(): string {
    const character = this.#peek();
    if (character === "" && this.#next >= this.#source.length + 1) this.#refuse("ends too early");
    this.#next++;
    return character;
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#next++;
    return true;
  }

  #refuse(why: string): never {
    throw new SchemaRefusal(this.#at, why);
  }
}

function single(character: string): CharSet {
  const point = character.codePointAt(0) ?? 0;
  return [[point, point]];
}
