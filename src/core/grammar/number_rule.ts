import { type GrammarBuilder, join } from "./grammar_builder.ts";
import { SchemaRefusal } from "./refusal.ts";
import { below, type Located } from "./schema.ts";

/** The largest magnitude written under a bound: beyond it JSON numbers lose digits. */
const MAGNITUDE_MAX = Number.MAX_SAFE_INTEGER;
/** A fraction that isn't zero, so that a bound is either met by a whole number or not at all. */
const FRACTION = `( "." [0-9]{0,15} [1-9] )`;

/** Whole numbers from `low` to `high`, both included. */
interface WholeRange {
  readonly low: number;
  readonly high: number;
}

/** An expression for `integer` or `number` under the schema's bounds. */
export function numberRule(
  builder: GrammarBuilder,
  options: { readonly located: Located; readonly type: "integer" | "number" },
): string {
  const { located, type } = options;
  const { at, schema } = located;
  const step = schema["multipleOf"];
  if (step !== undefined && !(step === 1 && type === "integer")) {
    throw new SchemaRefusal(below(at, "multipleOf"), "can't be put into a grammar");
  }
  const min = readBound(located, "minimum");
  const max = readBound(located, "maximum");
  if (min === undefined && max === undefined) return builder.shared(type);
  if (type === "number") refuseFractions(located, [min, max]);
  const range = {
    low: Math.max(wholeBound(min, "up"), -MAGNITUDE_MAX),
    high: Math.min(wholeBound(max, "down"), MAGNITUDE_MAX),
  };
  const choices = wholeNumbers(range);
  if (type === "number") choices.push(...fractions({ min, max }));
  if (choices.length === 0) throw new SchemaRefusal(at, "no number is within the bounds");
  return builder.rule(type, builder.choice(choices));
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

function refuseFractions({ at }: Located, bounds: readonly (Bound | undefined)[]): void {
  for (const bound of bounds) {
    if (bound !== undefined && !Number.isInteger(bound.value)) {
      throw new SchemaRefusal(at, `bound ${bound.value} of a number isn't whole`);
    }
  }
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

/** Numbers with a fraction: their whole part is cut towards zero, so it lies strictly inside the bounds. */
function fractions(bounds: { min: Bound | undefined; max: Bound | undefined }): string[] {
  const min = bounds.min?.value ?? -MAGNITUDE_MAX;
  const max = bounds.max?.value ?? MAGNITUDE_MAX;
  const above = { low: Math.max(0, min), high: max - 1 };
  const under = { low: Math.max(0, -max), high: -min - 1 };
  const written = (range: WholeRange) => range.low > range.high ? [] : naturals(range);
  return [
    ...written(above).map((digits) => join([digits, FRACTION])),
    ...written(under).map((digits) => join(['"-"', digits, FRACTION])),
  ];
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
