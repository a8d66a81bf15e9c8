import type { GoCommand, GoNode, GoOperand, GoPipeline, GoPlace, GoTemplate } from "./ast.ts";
import { type GoToken, lexGoTemplate } from "./lexer.ts";
import { parseCharacter, parseNumber, unquote } from "./literal.ts";
import { parseError } from "./template_error.ts";

/** Nested blocks, parentheses and `else if` steps of one template at most: deeper ones could exhaust the stack. */
export const TEMPLATE_DEPTH_MAX = 200;
/** Characters of a template's source at most. */
export const TEMPLATE_CHARS_MAX = 1024 * 1024;

const KEYWORDS = new Set([
  "block",
  "break",
  "continue",
  "define",
  "else",
  "end",
  "if",
  "range",
  "template",
  "with",
]);

/**
 * Parses Go's text/template language.
 *
 * @param functions names a template may call.
 * @throws RequestError `invalid_template` in Go's words, with the line.
 */
export function parseGoTemplate(source: string, functions: ReadonlySet<string>): GoTemplate {
  if (source.length > TEMPLATE_CHARS_MAX) {
    throw parseError(1, `template is longer than ${TEMPLATE_CHARS_MAX} characters`);
  }
  return new GoParser(source, functions).run();
}

/** How a list of nodes ended. */
interface ListEnd {
  readonly nodes: readonly GoNode[];
  readonly by: "end" | "else" | "eof";
}

class GoParser {
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: readonly GoToken[];
  readonly #defined = new Map<string, readonly GoNode[]>();
  #next = 0;
  /** Invariant: names in scope; blocks truncate it to the length it had when they began. */
  #variables: string[] = ["$"];
  #rangeDepth = 0;
  #depth = 0;

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#functions = functions;
    this.#tokens = lexGoTemplate(source);
  }

  run(): GoTemplate {
    const root = this.#list("top");
    return { source: this.#source, root: root.nodes, defined: this.#defined };
  }

  /** Nodes up to `{{end}}`, `{{else}}` (its keyword is consumed) or, at the top, the end of the source. */
  #list(where: "top" | "block"): ListEnd {
    const nodes: GoNode[] = [];
    while (true) {
      const token = this.#take();
      if (token.kind === "eof") {
        if (where === "block") this.#fail("unexpected EOF");
        return { nodes, by: "eof" };
      }
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text, at: token.at, line: token.line });
        continue;
      }
      // The lexer gives only text and actions outside of actions.
      const word = this.#peekWord();
      if (word.kind === "identifier" && (word.text === "end" || word.text === "else")) {
        this.#takeWord();
        if (word.text === "end" || where === "top") this.#expectRight(word.text);
        if (where === "top") this.#fail(`unexpected {{${word.text}}}`);
        return { nodes, by: word.text };
      }
      const node = this.#action(where);
      if (node !== undefined) nodes.push(node);
    }
  }

  #action(where: "top" | "block"): GoNode | undefined {
    const token = this.#peekWord();
    const place = placeOf(token);
    if (token.kind !== "identifier" || !KEYWORDS.has(token.text)) {
      const pipeline = this.#pipeline({ what: "command", end: "right" });
      return { kind: "action", pipeline, ...place };
    }
    this.#takeWord();
    switch (token.text) {
      case "if":
      case "with":
      case "range":
        return this.#nested(() => this.#branch(token));
      case "template":
        return this.#templateCall(token);
      case "block":
        return this.#nested(() => this.#block(token));
      case "define":
        if (where === "block") this.#unexpected(token, "command");
        this.#nested(() => this.#define());
        return undefined;
      default:
        return this.#loopControl(token);
    }
  }

  #branch(token: GoToken): GoNode {
    const kind = token.text === "if" ? "if" : token.text === "with" ? "with" : "range";
    const scope = this.#variables.length;
    const pipeline = this.#pipeline({ what: kind, end: "right" });
    if (kind === "range") this.#rangeDepth++;
    const first = this.#list("block");
    if (kind === "range") this.#rangeDepth--;
    const otherwise = first.by === "else" ? this.#otherwise(kind) : undefined;
    this.#variables.length = scope;
    const node = { kind, pipeline, body: first.nodes, ...placeOf(token) } as const;
    return otherwise === undefined ? node : { ...node, otherwise };
  }

  /** What follows `{{else`: the rest of the branch, or one branch of the same kind for `else if` and `else with`. */
  #otherwise(kind: "if" | "with" | "range"): readonly GoNode[] {
    const word = this.#peekWord();
    if (kind !== "range" && word.kind === "identifier" && word.text === kind) {
      this.#takeWord();
      // The inner branch takes the one `{{end}}`.
      return [this.#nested(() => this.#branch(word))];
    }
    this.#expectRight(KEYWORDS.has(word.text) ? "input" : "else");
    const rest = this.#list("block");
    if (rest.by === "else") this.#fail("expected end; found {{else}}");
    return rest.nodes;
  }

  #templateCall(token: GoToken): GoNode {
    const name = this.#name("template clause");
    const source = `template ${JSON.stringify(name)}`;
    const node = { kind: "template", name, source, ...placeOf(token) } as const;
    const pipeline = this.#peekWord().kind === "right"
      ? (this.#takeWord(), undefined)
      : this.#pipeline({ what: "template clause", end: "right" });
    return pipeline === undefined ? node : { ...node, pipeline };
  }

  #block(token: GoToken): GoNode {
    const name = this.#name("block clause");
    const pipeline = this.#pipeline({ what: "block clause", end: "right" });
    this.#body(name, "block clause");
    const source = `template ${JSON.stringify(name)}`;
    return { kind: "template", name, pipeline, source, ...placeOf(token) };
  }

  #define(): void {
    const name = this.#name("define clause");
    this.#expectRight("define clause");
    this.#body(name, "define clause");
  }

  /** A named body knows no variable but `$`. */
  #body(name: string, what: string): void {
    const outer = { variables: this.#variables, rangeDepth: this.#rangeDepth };
    this.#variables = ["$"];
    this.#rangeDepth = 0;
    const body = this.#list("block");
    if (body.by === "else") this.#fail(`unexpected {{else}} in ${what}`);
    this.#variables = outer.variables;
    this.#rangeDepth = outer.rangeDepth;
    // As in Go, a body without content doesn't replace one that has some.
    const empty = body.nodes.every((node) => node.kind === "text" && node.text.trim() === "");
    if (!empty || !this.#defined.has(name)) this.#defined.set(name, body.nodes);
  }

  #loopControl(token: GoToken): GoNode {
    const kind = token.text === "break" ? "break" : "continue";
    if (this.#peekWord().kind !== "right") this.#unexpected(this.#takeWord(), `{{${kind}}}`);
    this.#takeWord();
    if (this.#rangeDepth === 0) this.#fail(`{{${kind}}} outside {{range}}`);
    return { kind, ...placeOf(token) };
  }

  #name(what: string): string {
    const token = this.#takeWord();
    const name = token.kind === "string" ? unquote(token.text) : undefined;
    if (name === undefined) this.#unexpected(token, what);
    return name;
  }

  /** Commands up to the closing token, which is consumed. */
  #pipeline(options: { what: string; end: "right" | ")" }): GoPipeline {
    const start = this.#peekWord();
    const declared = this.#declaration(options.what);
    const commands: GoCommand[] = [];
    while (true) {
      const token = this.#peekWord();
      if (token.kind === options.end) {
        const source = this.#source.slice(start.at, token.at).trim();
        this.#takeWord();
        this.#checkPipeline(commands, options.what);
        this.#variables.push(...declared.binding === "declare" ? declared.variables : []);
        return { ...declared, commands, source, ...placeOf(start) };
      }
      commands.push(this.#command(options.what));
    }
  }

  /** `$x :=`, `$x =` or `$i, $x :=` in a range; none if what follows isn't one. */
  #declaration(what: string): Pick<GoPipeline, "variables" | "binding"> {
    const rewind = this.#next;
    const variables: string[] = [];
    while (this.#peekWord().kind === "variable" && variables.length < 2) {
      variables.push(this.#takeWord().text);
      const sign = this.#peekWord();
      if (sign.kind === ":=" || sign.kind === "=") {
        this.#takeWord();
        if (sign.kind === "=") variables.forEach((name) => this.#checkVariable(name));
        return { variables, binding: sign.kind === "=" ? "assign" : "declare" };
      }
      if (sign.kind !== ",") break;
      this.#takeWord();
      if (what !== "range" || variables.length === 2) {
        this.#fail(`too many declarations in ${what}`);
      }
    }
    this.#next = rewind;
    return { variables: [], binding: "none" };
  }

  #checkPipeline(commands: readonly GoCommand[], what: string): void {
    if (commands.length === 0) this.#fail(`missing value for ${what}`);
    commands.slice(1).forEach((command, index) => {
      const first = command.words[0]?.kind;
      if (first === "constant" || first === "dot" || first === "nil") {
        this.#fail(`non executable command in pipeline stage ${index + 2}`);
      }
    });
  }

  /** Words up to `|` (consumed), `}}` or `)` (left for the pipeline). */
  #command(what: string): GoCommand {
    const start = this.#peekWord();
    const words: GoOperand[] = [];
    while (true) {
      this.#skipSpace();
      const operand = this.#operand();
      if (operand !== undefined) words.push(operand);
      const token = this.#peek();
      if (token.kind === "space") {
        this.#skipSpace();
        continue;
      }
      if (token.kind === "|" && words.length > 0) {
        this.#take();
        break;
      }
      if (token.kind === "right" || token.kind === ")") break;
      this.#unexpected(this.#take(), words.length === 0 ? what : "operand");
    }
    return { words, source: this.#sourceFrom(start.at), ...placeOf(start) };
  }

  /** A term and the fields behind it; undefined when none begins here. */
  #operand(): GoOperand | undefined {
    const term = this.#term();
    if (term === undefined) return undefined;
    const names: string[] = [];
    while (this.#peek().kind === "field") {
      if (term.kind === "constant" || term.kind === "nil" || term.kind === "dot") {
        const shown = JSON.stringify(term.source);
        this.#fail(
          term.kind === "dot"
            ? `unexpected ${shown} in operand`
            : `unexpected . after term ${shown}`,
        );
      }
      names.push(this.#take().text.slice(1));
    }
    if (names.length === 0) return term;
    const source = this.#sourceFrom(term.at);
    if (term.kind === "field" || term.kind === "variable") {
      return { ...term, names: [...term.names, ...names], source };
    }
    return { kind: "chain", of: term, names, source, at: term.at, line: term.line };
  }

  #term(): GoOperand | undefined {
    const token = this.#peek();
    const common = { source: token.text, ...placeOf(token) };
    switch (token.kind) {
      case "identifier":
        this.#take();
        return this.#identifier(token);
      case "dot":
        this.#take();
        return { kind: "dot", ...common };
      case "field":
        this.#take();
        return { kind: "field", names: [token.text.slice(1)], ...common };
      case "variable":
        this.#take();
        this.#checkVariable(token.text);
        return { kind: "variable", names: [token.text], ...common };
      case "number":
      case "character":
      case "string":
        this.#take();
        return { kind: "constant", value: this.#constant(token), ...common };
      case "(":
        return this.#nested(() => this.#parenthesis());
      case "error":
        return this.#fail(this.#take().text);
      default:
        return undefined;
    }
  }

  #identifier(token: GoToken): GoOperand {
    const common = { source: token.text, ...placeOf(token) };
    if (token.text === "true" || token.text === "false") {
      const value = { type: "bool", value: token.text === "true" } as const;
      return { kind: "constant", value, ...common };
    }
    if (token.text === "nil") return { kind: "nil", ...common };
    if (KEYWORDS.has(token.text)) this.#unexpected(token, "command");
    if (!this.#functions.has(token.text)) {
      this.#fail(`function ${JSON.stringify(token.text)} not defined`);
    }
    return { kind: "function", name: token.text, ...common };
  }

  #parenthesis(): GoOperand {
    const token = this.#take();
    const pipeline = this.#pipeline({ what: "parenthesized pipeline", end: ")" });
    const source = this.#sourceFrom(token.at);
    return { kind: "pipeline", pipeline, source, ...placeOf(token) };
  }

  #constant(token: GoToken) {
    if (token.kind === "string") {
      const value = unquote(token.text);
      return value === undefined
        ? this.#fail("invalid syntax")
        : { type: "string", value } as const;
    }
    const value = token.kind === "number" ? parseNumber(token.text) : parseCharacter(token.text);
    if (value !== undefined) return value;
    return this.#fail(
      token.kind === "number"
        ? `illegal number syntax: ${JSON.stringify(token.text)}`
        : `malformed character constant: ${token.text}`,
    );
  }

  #checkVariable(name: string): void {
    if (!this.#variables.includes(name)) this.#fail(`undefined variable ${JSON.stringify(name)}`);
  }

  #expectRight(what: string): void {
    const token = this.#takeWord();
    if (token.kind !== "right") this.#unexpected(token, what);
  }

  #nested<Result>(parse: () => Result): Result {
    if (++this.#depth > TEMPLATE_DEPTH_MAX) {
      this.#fail(`nested deeper than ${TEMPLATE_DEPTH_MAX} levels`);
    }
    const result = parse();
    this.#depth--;
    return result;
  }

  #peek(): GoToken {
    const token = this.#tokens[Math.min(this.#next, this.#tokens.length - 1)];
    return token ?? { kind: "eof", text: "", at: 0, line: 1 };
  }

  #take(): GoToken {
    const token = this.#peek();
    this.#next++;
    if (token.kind === "error") this.#fail(token.text);
    return token;
  }

  #skipSpace(): void {
    while (this.#peek().kind === "space") this.#next++;
  }

  #peekWord(): GoToken {
    this.#skipSpace();
    const token = this.#peek();
    if (token.kind === "error") this.#take();
    return token;
  }

  #takeWord(): GoToken {
    this.#skipSpace();
    return this.#take();
  }

  /** Source from a place to just before the next token, for messages at run time. */
  #sourceFrom(at: number): string {
    return this.#source.slice(at, this.#peek().at).replace(/\|?\s*$/, "");
  }

  #unexpected(token: GoToken, where: string): never {
    const isKeyword = token.kind === "identifier" && KEYWORDS.has(token.text);
    const shown = isKeyword
      ? `<${token.text}>`
      : token.kind === "eof"
      ? "EOF"
      : JSON.stringify(token.text);
    return this.#fail(`unexpected ${shown} in ${where}`);
  }

  #fail(message: string): never {
    const last = this.#tokens[Math.min(this.#next, this.#tokens.length) - 1];
    throw parseError(last?.line ?? 1, message);
  }
}

function placeOf(token: GoToken): GoPlace {
  return { at: token.at, line: token.line };
}
