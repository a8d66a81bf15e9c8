import type { GoCommand, GoNode, GoOperand, GoPipeline, GoTemplate } from "./ast.ts";
import { callGoFunction, GoCallError, type GoDates } from "./functions.ts";
import {
  goElements,
  GoFloat,
  GoList,
  GoMap,
  GoStruct,
  goText,
  goTruth,
  goTypeName,
  type GoValue,
  isGoList,
} from "./value.ts";
import { executeError } from "./template_error.ts";

/** Nodes and operands evaluated in one execution at most: a template can loop over its own loops. */
const TEMPLATE_STEPS_MAX = 5_000_000;
/** Characters one execution may write at most. */
export const TEMPLATE_OUTPUT_CHARS_MAX = 8 * 1024 * 1024;
/** Templates calling templates at most. */
const TEMPLATE_CALLS_MAX = 100;

/** What the rest of a list does after one node. */
type Flow = "next" | "break" | "continue";

/**
 * Runs a parsed template. Missing keys and fields are nil.
 *
 * @throws RequestError `invalid_template` with the place, in Go's words; also when a limit is reached.
 */
export function executeGoTemplate(
  template: GoTemplate,
  options: { readonly root: GoValue; readonly dates: GoDates; readonly nodes?: readonly GoNode[] },
): string {
  const execution = new GoExecution(template, { root: options.root, dates: options.dates });
  return execution.run(options.nodes ?? template.root);
}

class GoExecution {
  readonly #template: GoTemplate;
  readonly #dates: GoDates;
  readonly #parts: string[] = [];
  #chars = 0;
  #steps = 0;
  #calls = 0;
  /** Invariant: inner scopes stand behind outer ones; a scope is left by cutting the list. */
  #variables: { name: string; value: GoValue }[];
  readonly #root: GoValue;

  constructor(template: GoTemplate, options: { root: GoValue; dates: GoDates }) {
    this.#template = template;
    this.#dates = options.dates;
    this.#root = options.root;
    this.#variables = [{ name: "$", value: options.root }];
  }

  run(nodes: readonly GoNode[]): string {
    this.#list(nodes, this.#root);
    return this.#parts.join("");
  }

  #list(nodes: readonly GoNode[], dot: GoValue): Flow {
    for (const node of nodes) {
      const flow = this.#node(node, dot);
      if (flow !== "next") return flow;
    }
    return "next";
  }

  #node(node: GoNode, dot: GoValue): Flow {
    this.#count(node);
    switch (node.kind) {
      case "text":
        this.#write(node.text, node);
        return "next";
      case "action": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.binding === "none") {
          this.#write(value === undefined ? "<no value>" : goText(value), node);
        }
        return "next";
      }
      case "if":
      case "with":
        return this.#scoped(() => this.#branch(node, dot));
      case "range":
        this.#scoped(() => this.#range(node, dot));
        return "next";
      case "template":
        this.#call(node, dot);
        return "next";
      case "break":
      case "continue":
        return node.kind;
    }
  }

  #branch(node: Extract<GoNode, { kind: "if" | "with" | "range" }>, dot: GoValue): Flow {
    const value = this.#pipeline(node.pipeline, dot);
    if (goTruth(value)) return this.#list(node.body, node.kind === "with" ? value : dot);
    return this.#list(node.otherwise ?? [], dot);
  }

  #range(node: Extract<GoNode, { kind: "if" | "with" | "range" }>, dot: GoValue): Flow {
    const value = this.#pipeline(node.pipeline, dot, "range");
    const { variables, binding } = node.pipeline;
    const scope = this.#variables.length;
    let count = 0;
    for (const [key, item] of this.#items(value, node.pipeline)) {
      count++;
      this.#count(node);
      const bound: GoValue[] = variables.length === 2 ? [key, item] : [item];
      variables.forEach((name, index) => {
        if (binding === "declare") this.#variables.push({ name, value: bound[index] });
        else this.#assign(name, bound[index]);
      });
      const flow = this.#list(node.body, item);
      this.#variables.length = scope;
      if (flow === "break") break;
    }
    return count > 0 ? "next" : this.#list(node.otherwise ?? [], dot);
  }

  *#items(value: GoValue, pipeline: GoPipeline): Iterable<[GoValue, GoValue]> {
    if (value === undefined) return;
    if (typeof value === "number") {
      for (let at = 0; at < value; at++) yield [at, at];
    } else if (value instanceof GoMap) {
      yield* value.sorted();
    } else {
      const items = goElements(value);
      if (items === undefined) {
        this.#fail(pipeline, `range can't iterate over ${goText(value)}`);
      }
      let at = 0;
      for (const item of items) yield [at++, item];
    }
  }

  #call(node: Extract<GoNode, { kind: "template" }>, dot: GoValue): void {
    const body = this.#template.defined.get(node.name);
    if (body === undefined) {
      const shown = { ...node, source: `{{${node.source}}}` };
      this.#fail(shown, `template ${JSON.stringify(node.name)} not defined`);
    }
    if (++this.#calls > TEMPLATE_CALLS_MAX) {
      this.#fail(node, `exceeded maximum template depth (${TEMPLATE_CALLS_MAX})`);
    }
    const value = node.pipeline === undefined ? undefined : this.#pipeline(node.pipeline, dot);
    const outer = this.#variables;
    this.#variables = [{ name: "$", value }];
    this.#list(body, value);
    this.#variables = outer;
    this.#calls--;
  }

  /** `range` binds its variables itself, once per element. */
  #pipeline(pipeline: GoPipeline, dot: GoValue, binder: "here" | "range" = "here"): GoValue {
    let value: GoValue;
    pipeline.commands.forEach((command, index) => {
      value = this.#command(command, { dot, piped: index === 0 ? [] : [value] });
    });
    if (binder === "here") {
      for (const name of pipeline.variables) {
        if (pipeline.binding === "declare") this.#variables.push({ name, value });
        else this.#assign(name, value);
      }
    }
    return value;
  }

  /** `piped` holds the value of the stage before, if there is one: it becomes the last argument. */
  #command(command: GoCommand, input: { dot: GoValue; piped: readonly GoValue[] }): GoValue {
    const [first, ...rest] = command.words;
    if (first === undefined) return undefined;
    if (first.kind === "function") {
      return this.#function({ name: first.name, words: rest, at: command }, input);
    }
    if (first.kind === "nil") this.#fail(first, "nil is not a command");
    if (rest.length > 0 || input.piped.length > 0) {
      const name = "names" in first ? first.names.at(-1) : undefined;
      this.#fail(
        first,
        first.kind === "field" || first.kind === "chain"
          ? `${name} is not a method but has arguments`
          : `can't give argument to non-function ${first.source}`,
      );
    }
    return this.#operand(first, input.dot);
  }

  #function(
    call: { name: string; words: readonly GoOperand[]; at: GoCommand },
    input: { dot: GoValue; piped: readonly GoValue[] },
  ): GoValue {
    this.#count(call.at);
    if (call.name === "and" || call.name === "or") return this.#lazy(call, input);
    const values = call.words.map((word) => this.#operand(word, input.dot));
    if (call.name === "call") return this.#noFunction(call, [...values, ...input.piped]);
    try {
      return callGoFunction(call.name, { values: [...values, ...input.piped], dates: this.#dates });
    } catch (error) {
      if (!(error instanceof GoCallError)) throw error;
      const arity = error.message.startsWith("wrong number");
      return this.#fail(
        call.at,
        arity ? error.message : `error calling ${call.name}: ${error.message}`,
      );
    }
  }

  /** No value that a conversation holds is a function. */
  #noFunction(
    call: { words: readonly GoOperand[]; at: GoCommand },
    [first, ...rest]: readonly GoValue[],
  ): never {
    if (call.words.length === 0 && first === undefined && rest.length === 0) {
      this.#fail(call.at, "wrong number of args for call: want at least 1 got 0");
    }
    if (first === undefined) this.#fail(call.at, "error calling call: call of nil");
    const shown = call.words[0]?.source ?? goText(first);
    const text = `error calling call: non-function ${shown} of type ${goTypeName(first)}`;
    this.#fail(call.at, text);
  }

  /** The first argument that decides; the ones behind it are not evaluated. */
  #lazy(
    call: { name: string; words: readonly GoOperand[]; at: GoCommand },
    input: { dot: GoValue; piped: readonly GoValue[] },
  ): GoValue {
    if (call.words.length + input.piped.length === 0) {
      this.#fail(call.at, `wrong number of args for ${call.name}: want at least 1 got 0`);
    }
    let value: GoValue;
    for (const word of call.words) {
      value = this.#operand(word, input.dot);
      if (goTruth(value) === (call.name === "or")) return value;
    }
    return input.piped.length > 0 ? input.piped[0] : value;
  }

  #operand(operand: GoOperand, dot: GoValue): GoValue {
    this.#count(operand);
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return undefined;
      case "constant":
        return operand.value.type === "float"
          ? new GoFloat(operand.value.value)
          : operand.value.value;
      case "field":
        return this.#fields(dot, operand.names, operand);
      case "variable": {
        const [name = "", ...names] = operand.names;
        return this.#fields(this.#variable(name), names, operand);
      }
      case "function":
        return this.#function({
          name: operand.name,
          words: [],
          at: { ...operand, words: [operand] },
        }, { dot, piped: [] });
      case "chain":
        return this.#fields(this.#operand(operand.of, dot), operand.names, operand);
      case "pipeline":
        return this.#pipeline(operand.pipeline, dot);
    }
  }

  #fields(value: GoValue, names: readonly string[], operand: GoOperand): GoValue {
    let found = value;
    for (const name of names) {
      if (found === undefined) return undefined;
      if (found instanceof GoMap) found = found.entries.get(name);
      else if (found instanceof GoStruct) found = found.field(name);
      else this.#fail(operand, `can't evaluate field ${name} in type ${fieldType(found)}`);
    }
    return found;
  }

  #variable(name: string): GoValue {
    return this.#variables.findLast((variable) => variable.name === name)?.value;
  }

  #assign(name: string, value: GoValue): void {
    const variable = this.#variables.findLast((candidate) => candidate.name === name);
    if (variable !== undefined) variable.value = value;
  }

  #scoped(run: () => Flow): Flow {
    const scope = this.#variables.length;
    const flow = run();
    this.#variables.length = scope;
    return flow;
  }

  #count(at: { readonly at: number; readonly line: number }): void {
    if (++this.#steps > TEMPLATE_STEPS_MAX) {
      this.#fail({ ...at, source: "" }, `more than ${TEMPLATE_STEPS_MAX} steps`);
    }
  }

  #write(text: string, node: GoNode): void {
    this.#chars += text.length;
    if (this.#chars > TEMPLATE_OUTPUT_CHARS_MAX) {
      this.#fail({ ...node, source: "" }, `more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters`);
    }
    this.#parts.push(text);
  }

  #fail(at: { at: number; line: number; source: string }, message: string): never {
    const lineStart = this.#template.source.lastIndexOf("\n", at.at - 1) + 1;
    const before = this.#template.source.slice(at.at === 0 ? 0 : lineStart, at.at);
    const column = new TextEncoder().encode(before).length;
    throw executeError({ line: at.line, column, source: at.source }, message);
  }
}

function fieldType(value: GoValue): string {
  if (isGoList(value) || value instanceof GoList) return "[]interface {}";
  return goTypeName(value);
}
