import {
  decimalOf,
  decimalsBetween,
  type GrammarBuilder,
  join,
  multiplesRule,
  SchemaRefusal,
} from "../gbnf/mod.ts";
import { below, type Located } from "./schema.ts";

/** The largest magnitude written under a bound: beyond it JSON numbers lose digits. */
const MAGNITUDE_MAX = Number.MAX_SAFE_INTEGER;

/** Whole numbers from `low` to `high`, both included. */
interface WholeRange {
  readonly low: number;
  readonly high: number;
}

/** An expression for `integer` or `number` under the schema's bounds and step. */
export function numberRule(
  builder: GrammarBuilder,
  options: { readonly located: Located; readonly type: "integer" | "number" },
): string {
  const { located, type } = options;
  const min = readBound(located, "minimum");
  const max = readBound(located, "maximum");
  const step = readStep(located);
  if (step !== undefined && !(step === 1 && type === "integer")) {
    const multiples = multiplesRule(builder, {
      step,
      type,
      min: boundBeside(min, step, "up"),
      max: boundBeside(max, step, "down"),
      naturals,
    });
    if (multiples !== undefined) return builder.rule(type, multiples);
    builder.ignore(below(located.at, "multipleOf"), "can't be followed by a grammar");
  }
  if (min === undefined && max === undefined) return builder.shared(type);
  const choices = type === "integer"
    ? wholeNumbers({
      low: Math.max(wholeBound(min, "up"), -MAGNITUDE_MAX),
      high: Math.min(wholeBound(max, "down"), MAGNITUDE_MAX),
    })
    : decimals(min, max);
  if (choices.length === 0) throw new SchemaRefusal(located.at, "no number is within the bounds");
  return builder.rule(type, builder.choice(choices));
}

function readStep({ schema, at }: Located): number | undefined {
  const step = readNumber(schema["multipleOf"], below(at, "multipleOf"));
  if (step === undefined || step > 0) return step;
  throw new SchemaRefusal(below(at, "multipleOf"), "must be more than 0");
}

/** A bound that is left out itself lies half a step further in. */
function boundBeside(bound: Bound | undefined, step: number, towards: "up" | "down"): number {
  const sign = towards === "up" ? 1 : -1;
  if (bound === undefined || Math.abs(bound.value) >= MAGNITUDE_MAX) return -sign * Infinity;
  return bound.excluded ? bound.value + sign * step / 2 : bound.value;
}

/** Numbers with or without a fraction, on both sides of zero. */
function decimals(min: Bound | undefined, max: Bound | undefined): string[] {
  const low = min ?? { value: -MAGNITUDE_MAX, excluded: false };
  const high = max ?? { value: MAGNITUDE_MAX, excluded: false };
  const side = (from: Bound, to: Bound): string[] =>
    to.value < 0 || (to.value === 0 && to.excluded) ? [] : decimalsBetween(
      from.value < 0 ? decimalOf(0, false) : decimalOf(bounded(from.value), from.excluded),
      decimalOf(bounded(to.value), to.excluded),
      naturals,
    );
  // "-0" is a number, too, but nobody writes it.
  const under = -low.value <= 0 ? [] : side(
    high.value >= 0
      ? { value: 0, excluded: true }
      : { value: -high.value, excluded: high.excluded },
    { value: -low.value, excluded: low.excluded },
  );
  return [...side(low, high), ...under.map((digits) => join(['"-"', digits]))];
}

function bounded(value: number): number {
  return Math.min(value, MAGNITUDE_MAX);
}

interface Bound {
  readonly value: number;
  readonly excluded: boolean;
}

/** `exclusiveMinimum` is a number of its own, or in older drafts a switch beside `minimum`. */
function readBound({ schema, at }: Located, name: "minimum" | "maximum"): Bound | undefined {
  const exclusiveName = name === "minimum" ? "exclusiveMinimum" : "exclusiveMaximum";
  const exclusive = schema[exclusiveName];
  const included = readNumber(schema[name], below(at, name));
  if (exclusive === undefined || typeof exclusive === "boolean") {
    return included === undefined ? undefined : { value: included, excluded: exclusive === true };
  }
  const excluded = readNumber(exclusive, below(at, exclusiveName)) ?? 0;
  if (included === undefined) return { value: excluded, excluded: true };
  const stricter = name === "minimum" ? excluded >= included : excluded <= included;
  return stricter ? { value: excluded, excluded: true } : { value: included, excluded: false };
}

function readNumber(value: unknown, at: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new SchemaRefusal(at, "must be a number");
}

/** The first whole number that is allowed, seen from the bound. */
function wholeBound(bound: Bound | undefined, towards: "up" | "down"): number {
  if (bound === undefined) return towards === "up" ? -Infinity : Infinity;
  const step = towards === "up" ? 1 : -1;
  const rounded = towards === "up" ? Math.ceil(bound.value) : Math.floor(bound.value);
  return bound.excluded && rounded === bound.value ? rounded + step : rounded;
}

function wholeNumbers({ low, high }: WholeRange): string[] {
  if (low > high) return [];
  const choices: string[] = [];
  if (low < 0) {
    const magnitudes = { low: Math.max(1, -high), high: -low };
    choices.push(...naturals(magnitudes).map((digits) => join(['"-"', digits])));
  }
  if (high >= 0) choices.push(...naturals({ low: Math.max(0, low), high }));
  return choices;
}

/** Digit patterns for 0 <= low <= high, without leading zeros. */
function naturals({ low, high }: WholeRange): string[] {
  const [first, last] = [String(low), String(high)];
  const patterns: string[] = [];
  for (let length = first.length; length <= last.length; length++) {
    const smallest = length === first.length ? first : "1" + "0".repeat(length - 1);
    const largest = length === last.length ? last : "9".repeat(length);
    patterns.push(...sameLength(smallest, largest));
  }
  return patterns;
}

/** Digit patterns between two numbers of one length. */
function sameLength(low: string, high: string): string[] {
  if (low === "") return [""];
  const rest = low.length - 1;
  if (/^0*$/.test(low) && /^9*$/.test(high)) return [anyDigits(rest + 1)];
  const [first, last] = [Number(low.charAt(0)), Number(high.charAt(0))];
  const behind = (digit: number, tails: readonly string[]) =>
    tails.map((tail) => join([`"${digit}"`, tail]));
  if (first === last) return behind(first, sameLength(low.slice(1), high.slice(1)));
  const patterns: string[] = [];
  // A border that leaves all tails open needs no pattern of its own.
  const openLow = /^0*$/.test(low.slice(1));
  const openHigh = /^9*$/.test(high.slice(1));
  if (!openLow) patterns.push(...behind(first, sameLength(low.slice(1), "9".repeat(rest))));
  const [from, to] = [openLow ? first : first + 1, openHigh ? last : last - 1];
  if (from <= to) {
    patterns.push(join([from === to ? `"${from}"` : `[${from}-${to}]`, anyDigits(rest)]));
  }
  if (!openHigh) patterns.push(...behind(last, sameLength("0".repeat(rest), high.slice(1))));
  return patterns;
}

function anyDigits(count: number): string {
  if (count === 0) return "";
  return count === 1 ? "[0-9]" : `[0-9]{${count}}`;
}
