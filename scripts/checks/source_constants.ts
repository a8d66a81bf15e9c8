/**
 * The values of the numbers that the source names: `const NAME = 64 * 1024;`, fields of constant objects, and defaults of
 * options.
 *
 * @module
 */

/** Path relative to the root and text of each source. */
export type SourceTexts = ReadonlyMap<string, string>;

/** A number of the source. */
export interface SourceNumber {
  /** Milliseconds where `dimension` is `time`. */
  readonly value: number;
  readonly dimension: "time" | "plain";
}

/** What an expression of the source comes to. */
type Value = number | { readonly [name: string]: Value };

const DEFINITION = /^(?:export )?const (\w+)(?:: [^=;]+)? = ([^;]+);/gm;
const TOKEN =
  /\s*("[^"]*"|0x[\da-f_]+|[\d_]+(?:\.\d+)?(?:e\d+)?|\*\*|[-+*/(){},:]|[A-Za-z_$][\w$]*)/gy;
const COMMENT = /^\s*(?:\/\/|\/?\*).*$|\s\/\/ .*$/gm;
/** What one of a constant's unit is in milliseconds, by how its name ends or goes on. */
const TIME_UNITS: readonly (readonly [RegExp, number])[] = [
  [/_MS(_|$)|Ms(\.|$)/, 1],
  [/_SECONDS(_|$)/, 1_000],
  [/_HOURS(_|$)/, 3_600_000],
  [/_DAYS(_|$)/, 86_400_000],
];
const MEBIBYTE = 1024 * 1024;

/** Looks up and computes the constants of a set of sources. */
export class SourceConstants {
  /** For each name the files that define it, with the text of its value. */
  readonly #definitions = new Map<string, { readonly path: string; readonly text: string }[]>();

  constructor(sources: SourceTexts) {
    for (const [path, text] of sources) {
      for (const [, name = "", value = ""] of text.replaceAll(COMMENT, "").matchAll(DEFINITION)) {
        this.#definitions.set(name, [...this.#definitions.get(name) ?? [], { path, text: value }]);
      }
    }
  }

  /**
   * `NAME`, `NAME.field`, or `end/of/path.ts NAME` where several files have a constant of that name; factors may be joined by
   * ` * `. @throws Error for what is not there, is ambiguous or is no number.
   */
  numberOf(reference: string, options: ReadonlyMap<string, SourceNumber>): SourceNumber {
    const factors = reference.split(" * ").map((factor) => {
      const option = options.get(factor);
      if (factor.startsWith("--") && option === undefined) throw new Error(`no option ${factor}`);
      return option ?? this.#constant(factor);
    });
    return {
      value: factors.reduce((product, { value }) => product * value, 1),
      dimension: factors.some(({ dimension }) => dimension === "time") ? "time" : "plain",
    };
  }

  #constant(reference: string): SourceNumber {
    const [, file, dotted = ""] = /^(?:(\S+\.ts) )?([\w.]+)$/.exec(reference) ?? [];
    const [name = "", ...fields] = dotted.split(".");
    let value: Value | undefined = this.#valueOf(name, file);
    for (const field of fields) value = typeof value === "object" ? value[field] : undefined;
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new Error(`${reference} is no number in the source`);
    }
    const [, factor] = TIME_UNITS.find(([pattern]) => pattern.test(dotted)) ?? [];
    if (factor !== undefined) return { value: value * factor, dimension: "time" };
    return { value: name.endsWith("_MIB") ? value * MEBIBYTE : value, dimension: "plain" };
  }

  #valueOf(name: string, file: string | undefined): Value {
    const all = this.#definitions.get(name) ?? [];
    const found = file === undefined
      ? all
      : all.filter(({ path }) => `/${path}`.endsWith(`/${file}`));
    const [first, ...others] = found;
    if (first === undefined) {
      throw new Error(`no constant ${file ?? ""} ${name}`.replace("  ", " "));
    }
    if (others.length > 0) {
      const where = found.map(({ path }) => path).join(", ");
      throw new Error(`${name} is in ${where}: put the end of the path before it`);
    }
    const parser = new ExpressionParser(first.text, (inner) => {
      const here = this.#definitions.get(inner)?.some(({ path }) => path === first.path);
      return this.#valueOf(inner, here === true ? first.path : undefined);
    });
    return parser.value();
  }
}

/** Arithmetic of number literals and names, and objects of it; what comes behind (`as const`) is left. */
class ExpressionParser {
  readonly #tokens: string[];
  readonly #resolve: (name: string) => Value;
  #at = 0;

  constructor(text: string, resolve: (name: string) => Value) {
    this.#tokens = [...text.matchAll(TOKEN)].map(([, token = ""]) => token);
    this.#resolve = resolve;
  }

  value(): Value {
    if (!this.#take("{")) return this.#sum();
    const fields: Record<string, Value> = {};
    while (!this.#take("}")) {
      const name = this.#next();
      if (!this.#take(":")) throw new Error(`the value of ${name} can't be read`);
      fields[name] = this.value();
      this.#take(",");
    }
    return fields;
  }

  #sum(): number {
    let sum = this.#product();
    for (;;) {
      if (this.#take("+")) sum += this.#product();
      else if (this.#take("-")) sum -= this.#product();
      else return sum;
    }
  }

  #product(): number {
    let product = this.#power();
    for (;;) {
      if (this.#take("*")) product *= this.#power();
      else if (this.#take("/")) product /= this.#power();
      else return product;
    }
  }

  #power(): number {
    const base = this.#atom();
    return this.#take("**") ? base ** this.#power() : base;
  }

  #atom(): number {
    if (this.#take("-")) return -this.#atom();
    if (this.#take("(")) {
      const inner = this.#sum();
      if (!this.#take(")")) throw new Error("a parenthesis is not closed");
      return inner;
    }
    const token = this.#next();
    // Fields beside the figures.
    if (/^(?:"|true$|false$)/.test(token)) return NaN;
    const value = /^\d/.test(token) ? Number(token.replaceAll("_", "")) : this.#resolve(token);
    if (typeof value !== "number") throw new Error(`${token} is no number`);
    return value;
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error("its value is no number");
    return token;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }
}
