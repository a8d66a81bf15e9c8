import { type CharSet, charSet, complement, jsonCharacter } from "./char_set.ts";
import { LimitRefusal } from "./refusal.ts";

/** Rules of one grammar at most. */
const GRAMMAR_RULES_MAX = 2_000;
/** Characters of one grammar's text at most. */
const GRAMMAR_CHARS_MAX = 256 * 1024;
/**
 * Copies that all repetitions of one grammar ask for at most: llama.cpp turns `x{0,n}` into n rules, and keeps them for as
 * long as the answer runs.
 */
const GRAMMAR_COPIES_MAX = 50_000;
/** Schemas converted, keywords merged and references followed for one grammar at most: some tens of milliseconds. */
const GRAMMAR_STEPS_MAX = 20_000;
/** Ignored keywords that are told. */
const IGNORED_MAX = 16;
/** Largest number in one repetition: llama.cpp refuses 2000, and silently takes more as "no end". */
const REPEAT_MAX = 1_000;
/** Longer repetitions are made of blocks of this length. */
const BLOCK_LENGTH = 200;

/**
 * Rules that don't come from a schema. White space stands where printers put it and nowhere else, in runs shorter than the
 * repeat guard takes for a stuck model: a weak one would write blanks for ever. Digits are bounded for the same reason. Escaped surrogates are left out, because half a pair is no text.
 */
const SHARED: Readonly<Record<string, string>> = {
  ws: String.raw`( " " | "\n" [ \t]{0,20} )?`,
  comma: `"," ws`,
  colon: `":" " "?`,
  value: "object | array | string | number | boolean | null",
  object: `"{" ws ( member ( comma member )* ws )? "}"`,
  member: "string colon value",
  array: `"[" ws ( value ( comma value )* ws )? "]"`,
  string: String.raw`"\"" char* "\""`,
  char: String.raw`[^\x22\x5C\x00-\x1F\x7F] | "\\" ( [\x22\x5C/bfnrt] | "u" unit )`,
  unit: "[0-9a-cefA-CEF] hex{3} | [dD] [0-7] hex{2}",
  hex: "[0-9a-fA-F]",
  integer: `"-"? natural`,
  natural: `"0" | [1-9] [0-9]{0,15}`,
  number: `integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,2} )?`,
  boolean: `"true" | "false"`,
  null: `"null"`,
};

/** Collects GBNF rules. An expression is GBNF text; what stands in one sequence is separated by blanks. */
export class GrammarBuilder {
  readonly #rules = new Map<string, string>();
  /** Names by body, so that no rule is written twice. */
  readonly #named = new Map<string, string>();
  readonly #characters = new Map<string, string | undefined>();
  readonly #ignored = new Set<string>();
  #chars = 0;
  #copies = 0;
  #steps = 0;

  /** Counts work that a schema causes; a short one can ask for any amount of it. */
  readonly spend = (steps: number): void => {
    this.#steps += steps;
    if (this.#steps > GRAMMAR_STEPS_MAX) {
      throw new LimitRefusal("#", `takes more than ${GRAMMAR_STEPS_MAX} steps to convert`);
    }
  };

  /** Notes what the schema asks for and no grammar can follow. */
  ignore(at: string, why: string): void {
    if (this.#ignored.size < IGNORED_MAX) this.#ignored.add(`${at}: ${why}`);
  }

  /** What was ignored, each with its place. */
  ignored(): readonly string[] {
    return [...this.#ignored];
  }

  /** An expression for one character of the set inside a JSON string; undefined when none can be written. */
  character(set: CharSet): string | undefined {
    const key = set.join();
    if (!this.#characters.has(key)) {
      this.#characters.set(key, jsonCharacter(complement(complement(charSet(set)))));
    }
    return this.#characters.get(key);
  }

  /** The name of a rule every grammar may use. */
  shared(name: keyof typeof SHARED): string {
    const body = SHARED[name];
    if (body !== undefined && !this.#rules.has(name)) {
      this.#set(name, body);
      const used = body.replace(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]/g, " ").match(/[a-z]+/g);
      for (const other of used ?? []) if (other in SHARED) this.shared(other);
    }
    return name;
  }

  /** Reserves a name for a rule that is defined later, so that it can refer to itself. */
  reserve(hint: string): string {
    const name = `${hint}-${this.#rules.size}`;
    this.#set(name, "");
    return name;
  }

  define(name: string, body: string): void {
    this.#set(name, body);
  }

  /** A rule of its own for an expression. A name is returned as it is. */
  rule(hint: string, body: string): string {
    if (/^[a-z][a-z0-9-]*$/.test(body)) return body;
    const known = this.#named.get(body);
    if (known !== undefined) return known;
    const name = this.reserve(hint);
    this.define(name, body);
    this.#named.set(body, name);
    return name;
  }

  /** One of several expressions. */
  choice(choices: readonly string[]): string {
    const unique = [...new Set(choices)];
    return unique.length === 1 ? unique[0] ?? "" : `( ${unique.join(" | ")} )`;
  }

  /** `expression` from `min` to `max` times; `max` Infinity = without end. It must not match the empty text. */
  repeat(expression: string, range: { readonly min: number; readonly max: number }): string {
    if (range.max === 0) return "";
    const item = this.rule("item", expression);
    if (range.max === Infinity) {
      return join([this.#exactly(item, range.min), `${item}*`]);
    }
    if (range.max <= REPEAT_MAX) {
      this.#copy(range.max);
      if (range.min === 1 && range.max === 1) return item;
      return range.min === 0 && range.max === 1 ? `${item}?` : `${item}{${range.min},${range.max}}`;
    }
    return join([this.#exactly(item, range.min), this.#atMost(item, range.max - range.min)]);
  }

  /** The whole grammar. */
  text(root: string): string {
    const lines = [...this.#rules].map(([name, body]) => `${name} ::= ${body}`);
    return [`root ::= ${root}`, ...lines].join("\n") + "\n";
  }

  #exactly(item: string, count: number): string {
    if (count === 0) return "";
    if (count <= REPEAT_MAX) {
      this.#copy(count);
      return count === 1 ? item : `${item}{${count}}`;
    }
    const blocks = Math.floor(count / BLOCK_LENGTH);
    return join([
      this.#exactly(this.#block(item), blocks),
      this.#exactly(item, count - blocks * BLOCK_LENGTH),
    ]);
  }

  /**
   * Whole blocks and then less than one, so that there is only one way to split a text: with several, the matcher would
   * follow them all.
   */
  #atMost(item: string, count: number): string {
    if (count <= REPEAT_MAX) return this.repeat(item, { min: 0, max: count });
    const blocks = Math.floor(count / BLOCK_LENGTH);
    const block = this.#block(item);
    const short = [
      this.#atMost(block, blocks - 1),
      this.repeat(item, { min: 0, max: BLOCK_LENGTH - 1 }),
    ];
    const full = [
      this.#exactly(block, blocks),
      this.repeat(item, { min: 0, max: count - blocks * BLOCK_LENGTH }),
    ];
    return `( ${join(short)} | ${join(full)} )`;
  }

  #block(item: string): string {
    this.#copy(BLOCK_LENGTH);
    return this.rule("block", `${item}{${BLOCK_LENGTH}}`);
  }

  #copy(count: number): void {
    this.#copies += count;
    if (this.#copies > GRAMMAR_COPIES_MAX) {
      throw new LimitRefusal("#", `repetitions add up to more than ${GRAMMAR_COPIES_MAX}`);
    }
  }

  #set(name: string, body: string): void {
    this.#chars += name.length + body.length - (this.#rules.get(name)?.length ?? 0);
    this.#rules.set(name, body);
    if (this.#rules.size > GRAMMAR_RULES_MAX) {
      throw new LimitRefusal("#", `needs more than ${GRAMMAR_RULES_MAX} grammar rules`);
    }
    if (this.#chars > GRAMMAR_CHARS_MAX) {
      throw new LimitRefusal("#", `needs more than ${GRAMMAR_CHARS_MAX} characters of grammar`);
    }
  }
}

/** A sequence; empty parts fall out. */
export function join(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" ");
}

/** A GBNF literal; of the control characters it may hold line breaks and tabs. */
export function literal(text: string): string {
  const escaped = text.replace(/["\\]/g, (character) => `\\${character}`);
  return `"${escaped.replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t")}"`;
}
