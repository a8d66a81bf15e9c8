import assert from "node:assert/strict";

/** A parsed grammar: alternatives of sequences of items. */
type Item =
  | { readonly kind: "characters"; readonly negated: boolean; readonly ranges: [number, number][] }
  | { readonly kind: "rule"; readonly name: string }
  | { readonly kind: "group"; readonly choices: Item[][] }
  | { readonly kind: "repeat"; readonly of: Item[]; readonly min: number; readonly max: number };

/**
 * An independent reader of GBNF for tests: naive, backtracking over sets of end positions. It knows just what llama.cpp's
 * grammar documentation lists, and refuses everything else, so that a slip in the syntax fails a test.
 */
export class GbnfMatcher {
  readonly #rules = new Map<string, Item[][]>();
  readonly #memo = new Map<string, Set<number>>();
  #text: readonly number[] = [];

  constructor(grammar: string) {
    for (const line of grammar.trimEnd().split("\n")) {
      const match = /^([a-zA-Z0-9-]+) ::= (.*)$/.exec(line);
      assert.ok(match !== null, `not a rule: ${line}`);
      const [, name = "", body = ""] = match;
      assert.ok(!this.#rules.has(name), `rule ${name} is defined twice`);
      const reader = new BodyReader(body);
      this.#rules.set(name, reader.choices());
      assert.equal(reader.rest(), "", `left over in ${name}`);
    }
    assert.ok(this.#rules.has("root"), "no root");
    for (const choices of this.#rules.values()) this.#checkNames(choices);
  }

  accepts(text: string): boolean {
    this.#text = [...text].map((character) => character.codePointAt(0) ?? 0);
    this.#memo.clear();
    return this.#choices(this.#rules.get("root") ?? [], 0).has(this.#text.length);
  }

  /** A text of the grammar; `draw(n)` gives a whole number from 0 to below n. */
  sample(draw: (count: number) => number): string {
    const costs = this.#costs();
    const cheapest = (choices: readonly Item[][]) =>
      choices.reduce((best, choice) => cost(choice, costs) < cost(best, costs) ? choice : best);
    let fuel = 400;
    const write = (choices: readonly Item[][]): string => {
      fuel--;
      // llama.cpp would go on for ever, too; here whatever ends soonest is taken once enough was written.
      const choice = fuel > 0 ? choices[draw(choices.length)] : cheapest(choices);
      return (choice ?? []).map(writeItem).join("");
    };
    const writeItem = (item: Item): string => {
      if (item.kind === "group") return write(item.choices);
      if (item.kind === "rule") return write(this.#rules.get(item.name) ?? []);
      if (item.kind === "characters") return sampleCharacter(item, draw);
      const more = item.max - item.min;
      const extra = fuel <= 0
        ? 0
        : draw(8) === 0 && more < 100
        ? more
        : draw(Math.min(more, 3) + 1);
      return Array.from({ length: item.min + extra }, () => item.of.map(writeItem).join("")).join(
        "",
      );
    };
    return write(this.#rules.get("root") ?? []);
  }

  /** For each rule how many rules its shortest way to an end passes. */
  #costs(): ReadonlyMap<string, number> {
    const costs = new Map<string, number>();
    for (let isChanged = true; isChanged;) {
      isChanged = false;
      for (const [name, choices] of this.#rules) {
        const best = 1 + Math.min(...choices.map((choice) => cost(choice, costs)));
        if (best < (costs.get(name) ?? Infinity)) {
          costs.set(name, best);
          isChanged = true;
        }
      }
    }
    return costs;
  }

  #checkNames(choices: Item[][]): void {
    for (const item of choices.flat()) {
      if (item.kind === "rule") assert.ok(this.#rules.has(item.name), `no rule ${item.name}`);
      if (item.kind === "group") this.#checkNames(item.choices);
      if (item.kind === "repeat") this.#checkNames([item.of]);
    }
  }

  #choices(choices: Item[][], at: number): Set<number> {
    return new Set(choices.flatMap((sequence) => [...this.#sequence(sequence, at)]));
  }

  #sequence(sequence: readonly Item[], at: number): Set<number> {
    let ends = new Set([at]);
    for (const item of sequence) {
      ends = new Set([...ends].flatMap((end) => [...this.#item(item, end)]));
      if (ends.size === 0) break;
    }
    return ends;
  }

  #item(item: Item, at: number): Set<number> {
    switch (item.kind) {
      case "characters": {
        const point = this.#text[at];
        if (point === undefined) return new Set();
        const inside = item.ranges.some(([low, high]) => low <= point && point <= high);
        return new Set(inside !== item.negated ? [at + 1] : []);
      }
      case "group":
        return this.#choices(item.choices, at);
      case "repeat":
        return this.#repeat(item, at);
      case "rule": {
        const key = `${item.name}@${at}`;
        const known = this.#memo.get(key);
        if (known !== undefined) return known;
        // An entry while it is computed would be left recursion, which llama.cpp refuses.
        this.#memo.set(key, new Set());
        const ends = this.#choices(this.#rules.get(item.name) ?? [], at);
        this.#memo.set(key, ends);
        return ends;
      }
    }
  }

  #repeat(item: Extract<Item, { kind: "repeat" }>, at: number): Set<number> {
    const ends = new Set<number>();
    let front = new Set([at]);
    for (let count = 0; count <= item.max && front.size > 0; count++) {
      if (count >= item.min) { for (const end of front) ends.add(end); }
      const next = new Set([...front].flatMap((end) => [...this.#sequence(item.of, end)]));
      for (const end of front) {
        assert.ok(!this.#sequence(item.of, end).has(end), "repeats what can be empty");
      }
      if (count >= item.min) { for (const end of ends) next.delete(end); }
      front = next;
    }
    return ends;
  }
}

function cost(sequence: readonly Item[], costs: ReadonlyMap<string, number>): number {
  return sequence.reduce((sum, item) => {
    switch (item.kind) {
      case "characters":
        return sum;
      case "rule":
        return sum + (costs.get(item.name) ?? Infinity);
      case "group":
        return sum + Math.min(...item.choices.map((choice) => cost(choice, costs)));
      case "repeat":
        return item.min === 0 ? sum : sum + item.min * cost(item.of, costs);
    }
  }, 0);
}

const SAMPLE_CHARACTERS = [..."aBz09 -_.:/@é漢🙂"];

function sampleCharacter(
  of: Extract<Item, { kind: "characters" }>,
  draw: (count: number) => number,
): string {
  const inside = (point: number) => of.ranges.some(([low, high]) => low <= point && point <= high);
  if (of.negated) {
    const free = SAMPLE_CHARACTERS.filter((text) => !inside(text.codePointAt(0) ?? 0));
    return free[draw(free.length)] ?? "x";
  }
  const [low, high] = of.ranges[draw(of.ranges.length)] ?? [0x78, 0x78];
  return String.fromCodePoint(low + draw(Math.min(high - low, 60) + 1));
}

/** Reads the right side of one rule. */
class BodyReader {
  #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  rest(): string {
    return this.#source;
  }

  choices(): Item[][] {
    const choices = [this.#sequence()];
    while (this.#take(/^\|\s*/) !== undefined) choices.push(this.#sequence());
    return choices;
  }

  #sequence(): Item[] {
    const items: Item[] = [];
    while (this.#source !== "" && !/^[|)]/.test(this.#source)) items.push(...this.#quantified());
    return items;
  }

  #quantified(): Item[] {
    const items = this.#atom();
    const count = this.#take(/^(?:[*+?]|\{\d+(?:,\d*)?\})/);
    this.#take(/^\s+/);
    if (count === undefined) return items;
    assert.ok(items.length > 0, "a repetition needs something before it");
    const [min = "0", max] = count.slice(1, -1).split(",");
    const range = count === "*"
      ? [0, Infinity]
      : count === "+"
      ? [1, Infinity]
      : count === "?"
      ? [0, 1]
      : [Number(min), max === undefined ? Number(min) : max === "" ? Infinity : Number(max)];
    const [low = 0, high = 0] = range;
    assert.ok(high === Infinity || (high < 2000 && low <= high), `llama.cpp refuses ${count}`);
    return [{ kind: "repeat", of: items, min: low, max: high }];
  }

  #atom(): Item[] {
    if (this.#take(/^\(\s*/) !== undefined) {
      const choices = this.choices();
      assert.ok(this.#take(/^\)/) !== undefined, `")" expected at ${this.#source}`);
      return [{ kind: "group", choices }];
    }
    const name = this.#take(/^[a-zA-Z0-9-]+/);
    if (name !== undefined) return [{ kind: "rule", name }];
    if (this.#take(/^"/) !== undefined) {
      const items: Item[] = [];
      while (this.#take(/^"/) === undefined) {
        const point = this.#point();
        items.push({ kind: "characters", negated: false, ranges: [[point, point]] });
      }
      // A repetition would cover the whole literal.
      return items.length > 1 ? [{ kind: "group", choices: [items] }] : items;
    }
    assert.ok(this.#take(/^\[/) !== undefined, `unexpected ${this.#source}`);
    const negated = this.#take(/^\^/) !== undefined;
    const ranges: [number, number][] = [];
    while (this.#take(/^\]/) === undefined) {
      const low = this.#point();
      const isRange = /^-[^\]]/.test(this.#source) && this.#take(/^-/) !== undefined;
      ranges.push([low, isRange ? this.#point() : low]);
    }
    return [{ kind: "characters", negated, ranges }];
  }

  #point(): number {
    const hex = this.#take(/^\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})/);
    if (hex !== undefined) return parseInt(hex.slice(2), 16);
    const escaped = this.#take(/^\\[trn\\"[\]-]/);
    if (escaped !== undefined) {
      const controls: Record<string, number> = { t: 9, r: 13, n: 10 };
      return controls[escaped.charAt(1)] ?? escaped.charCodeAt(1);
    }
    assert.ok(!this.#source.startsWith("\\"), `unknown escape at ${this.#source}`);
    const raw = this.#take(/^[\s\S]/u);
    assert.ok(raw !== undefined, "ends too early");
    return raw.codePointAt(0) ?? 0;
  }

  #take(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.#source)?.[0];
    if (found !== undefined) this.#source = this.#source.slice(found.length);
    return found;
  }
}
