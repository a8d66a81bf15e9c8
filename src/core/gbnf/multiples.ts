import { type GrammarBuilder, join } from "./grammar_builder.ts";
import { valueChoice } from "./value_choice.ts";

/** Multiples that are listed one by one. */
const LISTED_MAX = 1_000;
/** Digits at the end of a number that a step may depend on. */
const TAIL_DIGITS_MAX = 4;
/** Steps that are followed digit by digit, with a rule for each remainder. */
const REMAINDERS_MAX = 64;
/** Digits of a number that is followed so. */
const REMAINDER_DIGITS_MAX = 12;
/** Digits of the largest number written. */
const DIGITS_MAX = 15;
/** The same with a fraction: validators divide, and lose the last digits of longer ones. */
const DIGITS_WITH_FRACTION_MAX = 12;

/** Which multiples are wanted. */
export interface WantedMultiples {
  readonly step: number;
  readonly min: number;
  readonly max: number;
  readonly type: "integer" | "number";
  /** Digit patterns for whole numbers in a range, both ends included. */
  readonly naturals: (range: { readonly low: number; readonly high: number }) => readonly string[];
}

/**
 * An expression for the multiples of a step within bounds; undefined when no grammar of a fair size can follow it. A step
 * is followed where it divides a power of ten, where the multiples are few, or where it is small and there are no bounds
 * but 0.
 */
export function multiplesRule(
  builder: GrammarBuilder,
  wanted: WantedMultiples,
): string | undefined {
  const written = /^(\d+)(?:\.(\d+))?$/.exec(String(wanted.step));
  if (written === null || wanted.step === 0) return undefined;
  const decimals = written[2]?.length ?? 0;
  if (decimals > TAIL_DIGITS_MAX) return undefined;
  const unit = 10 ** decimals;
  const units = Math.round(wanted.step * unit);
  // Whole multiples of 0.5 are the multiples of 1.
  const isWhole = wanted.type === "integer";
  const grid: Grid = isWhole
    ? { units: units / greatestDivisor(units, unit), decimals: 0 }
    : { units, decimals };
  const first = indexOf(wanted.min, grid, "up");
  const last = indexOf(wanted.max, grid, "down");
  if (last - first < LISTED_MAX) {
    const texts = Array.from(
      { length: Math.max(0, last - first + 1) },
      (_none, index) => decimalText((first + index) * grid.units, grid.decimals),
    );
    return texts.length === 0 ? undefined : valueChoice(builder, texts);
  }
  return byTail(builder, { ...grid, first, last }, wanted.naturals) ??
    byRemainder(builder, grid, wanted);
}

/** All multiples of `units` in steps of the last decimal. */
interface Grid {
  readonly units: number;
  readonly decimals: number;
}

function indexOf(bound: number, grid: Grid, towards: "up" | "down"): number {
  if (!Number.isFinite(bound)) return bound;
  const unit = 10 ** grid.decimals;
  const near = Math.round((bound * unit) / grid.units);
  const value = (index: number) => (index * grid.units) / unit;
  for (const index of [near - 1, near, near + 1]) {
    if (towards === "up" && value(index) >= bound) return index;
  }
  return value(near + 1) <= bound ? near + 1 : value(near) <= bound ? near : near - 1;
}

/** Numbers whose last digits are those of a multiple, where the step divides a power of ten. */
function byTail(
  builder: GrammarBuilder,
  grid: Grid & { readonly first: number; readonly last: number },
  naturals: WantedMultiples["naturals"],
): string | undefined {
  let digits = grid.decimals;
  while (digits <= TAIL_DIGITS_MAX && 10 ** digits % grid.units !== 0) digits++;
  const block = 10 ** digits;
  if (digits > TAIL_DIGITS_MAX || block / grid.units > LISTED_MAX) return undefined;
  const positive = { low: Math.max(0, grid.first), high: grid.last };
  const negative = { low: Math.max(1, -grid.last), high: -grid.first };
  const tail = tailOf(builder, { ...grid, digits });
  const side = ({ low, high }: { low: number; high: number }, sign: string): string[] => {
    if (low > high) return [];
    const perBlock = block / grid.units;
    const lowBlock = Math.floor(low / perBlock);
    const highBlock = high === Infinity
      ? 10 ** ((grid.decimals === 0 ? DIGITS_MAX : DIGITS_WITH_FRACTION_MAX) - digits)
      : Math.floor(high / perBlock);
    const listed = [
      ...indexes(low, Math.min(high, (lowBlock + 1) * perBlock - 1)),
      ...high === Infinity || highBlock === lowBlock ? [] : indexes(highBlock * perBlock, high),
    ].map((index) => sign + decimalText(index * grid.units, grid.decimals));
    const between = { low: lowBlock + 1, high: highBlock - 1 };
    const rest = between.low > between.high ? [] : naturals(between);
    const choices = rest.map((prefix) => join([sign === "" ? "" : `"${sign}"`, prefix, tail]));
    return [valueChoice(builder, listed), ...choices];
  };
  return builder.choice([...side(positive, ""), ...side(negative, "-")]);
}

function indexes(low: number, high: number): number[] {
  return Array.from({ length: high - low + 1 }, (_none, index) => low + index);
}

/** The last digits of a multiple, the point among them, without a fraction that is zero. */
function tailOf(builder: GrammarBuilder, of: Grid & { readonly digits: number }): string {
  const { units, decimals, digits } = of;
  const texts = indexes(0, 10 ** digits / units - 1).map((index) => {
    const text = digits === 0 ? "" : String(index * units).padStart(digits, "0");
    const whole = text.slice(0, digits - decimals);
    const fraction = text.slice(digits - decimals).replace(/0+$/, "");
    return fraction === "" ? whole : `${whole}.${fraction}`;
  });
  if (texts.length === 1 && texts[0] === "") return "";
  return builder.rule("tail", valueChoice(builder, texts));
}

/** Whole numbers, digit by digit, with a rule for what is left by the digits so far. */
function byRemainder(
  builder: GrammarBuilder,
  grid: Grid,
  wanted: WantedMultiples,
): string | undefined {
  const { units } = grid;
  const fromZero = wanted.min === 0;
  const isOpen = (fromZero || wanted.min === -Infinity) && wanted.max === Infinity;
  if (grid.decimals > 0 || units > REMAINDERS_MAX || !isOpen) return undefined;
  const names = new Map<string, string>();
  /** What may follow digits that leave `left`, up to `more` of them. */
  const follow = (left: number, more: number): string => {
    const key = `${left} ${more}`;
    const known = names.get(key);
    if (known !== undefined) return known;
    builder.spend(1);
    const name = builder.reserve("left");
    names.set(key, name);
    const choices = more === 0 ? [] : digitsTo(left, 0, more);
    builder.define(name, [...left === 0 ? [`""`] : [], ...choices].join(" | "));
    return name;
  };
  const digitsTo = (from: number, least: number, more: number) => {
    const digits = new Map<number, number[]>();
    for (let digit = least; digit <= 9; digit++) {
      const left = (from * 10 + digit) % units;
      if (more > 1 || left === 0) digits.set(left, [...digits.get(left) ?? [], digit]);
    }
    return [...digits].map(([left, list]) => `[${list.join("")}] ${follow(left, more - 1)}`);
  };
  const positive = digitsTo(0, 1, REMAINDER_DIGITS_MAX).join(" | ");
  return builder.choice([`"0"`, join([fromZero ? "" : `"-"?`, `( ${positive} )`])]);
}

function decimalText(units: number, decimals: number): string {
  const sign = units < 0 ? "-" : "";
  const digits = String(Math.abs(units)).padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return sign + (fraction === "" ? whole : `${whole}.${fraction}`);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
