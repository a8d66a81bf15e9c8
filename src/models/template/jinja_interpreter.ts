import { type Environment, Interpreter } from "@huggingface/jinja";
import {
  extraFilter,
  extraMethod,
  keysOf,
  objectOf,
  textOf,
  type Value,
  valueOf,
} from "./jinja_values.ts";

/**
 * Expressions and statements evaluated in one rendering at most: some thousands of messages in the largest templates seen,
 * and a few seconds at worst, because the interpreter takes some microseconds for each.
 */
const JINJA_STEPS_MAX = 500_000;
/** A value that was computed already, in the place of the expression it comes from. */
const COMPUTED = "Computed";

/** A template took more steps than one may. */
export class TooManySteps extends Error {}

/** A node of a template's syntax tree, as far as it is looked at here. */
interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

type Evaluate = Interpreter["evaluate"];

/**
 * The library's interpreter with what it lacks: filters and methods of Python that templates use, on all types; loops over
 * texts, objects and nothing. Counts what it evaluates, because a template from a stranger's file must not hold up the
 * node.
 */
export class JinjaInterpreter extends Interpreter {
  #steps = 0;

  get steps(): number {
    return this.#steps;
  }

  override evaluate(...[statement, environment]: Parameters<Evaluate>): ReturnType<Evaluate> {
    if (++this.#steps > JINJA_STEPS_MAX) {
      throw new TooManySteps(`more than ${JINJA_STEPS_MAX} steps`);
    }
    const node = statement as unknown as Node | undefined;
    switch (node?.type) {
      case COMPUTED:
        return node["value"] as ReturnType<Evaluate>;
      case "FilterExpression":
        return this.#filter(node, environment);
      case "CallExpression":
        return this.#call(node, environment);
      case "For":
        return this.#library(
          { ...node, iterable: this.#iterable(node, environment) },
          environment,
        );
      case "BinaryExpression":
        return this.#binary(node, environment);
      case "ObjectLiteral":
        return this.#object(node, environment);
      case "MemberExpression":
        return this.#member(node, environment);
      default:
        return super.evaluate(statement, environment);
    }
  }

  #library(node: Node, environment: Environment): ReturnType<Evaluate> {
    return super.evaluate(node as unknown as Parameters<Evaluate>[0], environment);
  }

  #value(node: unknown, environment: Environment): Value {
    return this.evaluate(node as Parameters<Evaluate>[0], environment) as unknown as Value;
  }

  #filter(node: Node, environment: Environment): ReturnType<Evaluate> {
    const operand = this.#value(node["operand"], environment);
    const filter = node["filter"] as Node;
    const callee = filter.type === "CallExpression" ? filter["callee"] as Node : filter;
    const args = filter.type === "CallExpression" ? filter["args"] as readonly Node[] : [];
    const found = extraFilter(String(callee["value"]), operand, {
      args: () =>
        args.filter(({ type }) => !type.startsWith("Keyword"))
          .map((arg) => this.#value(arg, environment)),
      apply: (name, value) =>
        this.#filter({
          type: "FilterExpression",
          operand: computed(value),
          filter: { type: "Identifier", value: name },
        }, environment) as unknown as Value,
      hasKeywords: args.some(({ type }) => type.startsWith("Keyword")),
    });
    if (found !== undefined) return found as unknown as ReturnType<Evaluate>;
    return this.#library({ ...node, operand: computed(operand) }, environment);
  }

  #call(node: Node, environment: Environment): ReturnType<Evaluate> {
    const callee = node["callee"] as Node;
    if (callee.type !== "MemberExpression" || callee["computed"] === true) {
      return this.#library(node, environment);
    }
    const object = this.#value(callee["object"], environment);
    const name = String((callee["property"] as Node)["value"]);
    const args = node["args"] as readonly Node[];
    const found = extraMethod(
      name,
      object,
      () => args.map((arg) => this.#value(arg, environment)),
    );
    if (found !== undefined) return found as unknown as ReturnType<Evaluate>;
    return this.#library({ ...node, callee: { ...callee, object: computed(object) } }, environment);
  }

  /** What a loop goes over, as the list that the library wants. */
  #iterable(node: Node, environment: Environment): Node {
    const iterable = node["iterable"] as Node;
    const selects = iterable.type === "SelectExpression";
    const value = this.#value(selects ? iterable["lhs"] : iterable, environment);
    const pairs = (node["loopvar"] as Node).type === "TupleLiteral";
    const list = computed(listOf(value, pairs));
    return selects ? { ...iterable, lhs: list } : list;
  }

  /** Python's keys may be numbers, the library's are texts alone. */
  #object(node: Node, environment: Environment): ReturnType<Evaluate> {
    const entries = [...node["value"] as Iterable<readonly [unknown, unknown]>].map((
      [key, value],
    ) => [this.#value(key, environment), this.#value(value, environment)] as const);
    return objectOf(entries) as unknown as ReturnType<Evaluate>;
  }

  /** What no value can have as its key is not there. */
  #member(node: Node, environment: Environment): ReturnType<Evaluate> {
    const property = node["property"] as Node;
    if (node["computed"] !== true || property.type === "SliceExpression") {
      return this.#library(node, environment);
    }
    const object = this.#value(node["object"], environment);
    const key = this.#value(property, environment);
    if (object.value instanceof Map && key.type !== "StringValue") {
      const found = key.type === "IntegerValue" ? object.value.get(String(key.value)) : undefined;
      return (found ?? valueOf(undefined)) as unknown as ReturnType<Evaluate>;
    }
    if (key.type !== "StringValue" && key.type !== "IntegerValue") {
      return valueOf(undefined) as unknown as ReturnType<Evaluate>;
    }
    return this.#library(
      { ...node, object: computed(object), property: computed(key) },
      environment,
    );
  }

  #binary(node: Node, environment: Environment): ReturnType<Evaluate> {
    const operator = (node["operator"] as Node)["value"];
    if (operator !== "~" && operator !== "+" && operator !== "in" && operator !== "not in") {
      return this.#library(node, environment);
    }
    const left = this.#value(node["left"], environment);
    const right = this.#value(node["right"], environment);
    if (operator === "+" && left.type === "StringValue" && right.type === "StringValue") {
      return valueOf(left.value + right.value) as unknown as ReturnType<Evaluate>;
    }
    const text = (of: Value) => of.type === "NullValue" ? "None" : textOf(of);
    const isText = (of: Value) => of.type === "StringValue";
    const isContainer = (of: Value) => typeof of.value === "object" && of.value !== null;
    const isMissing = (of: Value) => of.type === "UndefinedValue" || of.type === "NullValue";
    let result: Value | undefined;
    if (operator === "~") result = valueOf(text(left) + text(right));
    else if (operator === "+") {
      if (isMissing(left) || isMissing(right)) result = valueOf(textOf(left) + textOf(right));
      else if ([left, right].some(isText) && [left, right].some(isContainer)) {
        throw new Error(`Cannot add ${left.type} and ${right.type}`);
      }
    } else if (isMissing(left) || isMissing(right)) {
      const inList = Array.isArray(right.value) &&
        right.value.some((item: Value) => item.value === left.value);
      result = valueOf((operator === "in") === inList);
    }
    if (result !== undefined) return result as unknown as ReturnType<Evaluate>;
    return this.#library({ ...node, left: computed(left), right: computed(right) }, environment);
  }
}

function computed(value: Value): Node {
  return { type: COMPUTED, value };
}

/** `pairs`: the loop takes each item apart. */
function listOf(value: Value, pairs: boolean): Value {
  if (value.type === "UndefinedValue" || value.type === "NullValue") return valueOf([]);
  if (value.type === "StringValue") return valueOf([...String(value.value)]);
  const items = pairs && value.value instanceof Map
    ? keysOf(value).map(([key, item]) => valueOf([key, item]))
    : undefined;
  if (items !== undefined) return valueOf(items);
  if (!pairs || !Array.isArray(value.value)) return value;
  return valueOf(
    value.value.map((item: Value) =>
      item.type === "StringValue" ? valueOf([...String(item.value)]) : item
    ),
  );
}
