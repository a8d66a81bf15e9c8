import { join } from "./grammar_builder.ts";

/** The digits behind a point that aren't all zero, without zeros at the end. */
const FRACTION_DIGITS = "[0-9]{0,14} [1-9]";

/** A number >= 0 as its digits: `whole` before the point, `fraction` behind it without zeros at the end. */
export interface Decimal {
  readonly whole: number;
  readonly fraction: string;
  /** Whether the bound itself is left out. */
  readonly excluded: boolean;
}

/** Exactly the digits that JavaScript prints, which read back as the same number. `value` >= 0. */
export function decimalOf(value: number, excluded: boolean): Decimal {
  const [mantissa = "0", exponent = "0"] = String(value).split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const shift = Number(exponent);
  const digits = shift < 0
    ? { whole: "0", fraction: `${"0".repeat(-shift - whole.length)}${whole}${fraction}` }
    : {
      whole: whole + fraction.padEnd(shift, "0").slice(0, shift),
      fraction: fraction.slice(shift),
    };
  return {
    whole: Number(digits.whole),
    fraction: digits.fraction.replace(/0+$/, ""),
    excluded,
  };
}

/**
 * Expressions for decimals from `low` to `high`; `wholes` gives those for whole numbers. Written without zeros at the end,
 * so that digits compare as texts do.
 */
export function decimalsBetween(
  low: Decimal,
  high: Decimal,
  wholes: (range: { readonly low: number; readonly high: number }) => readonly string[],
): string[] {
  if (low.whole > high.whole) return [];
  const from = { digits: low.fraction, excluded: low.excluded };
  const to = { digits: high.fraction, excluded: high.excluded };
  const at = (whole: number, from: Edge | undefined, to: Edge | undefined) => {
    const tail = fractionTail(from, to);
    return tail === undefined ? [] : [join([`"${whole}"`, tail])];
  };
  if (low.whole === high.whole) return at(low.whole, from, to);
  const between = { low: low.whole + 1, high: high.whole - 1 };
  const inside = between.low > between.high ? [] : wholes(between);
  const free = fractionTail(undefined, undefined) ?? "";
  return [
    ...at(low.whole, from, undefined),
    ...inside.map((digits) => join([digits, free])),
    ...at(high.whole, undefined, to),
  ];
}

/** A bound on the digits behind the point. */
interface Edge {
  readonly digits: string;
  readonly excluded: boolean;
}

/** What may follow the whole part: nothing, or a point and digits. Undefined = nothing fits, "" = only nothing. */
function fractionTail(from: Edge | undefined, to: Edge | undefined): string | undefined {
  const choices = digitsBetween(from, to);
  if (choices.length === 0) return mayEnd(from, to) ? "" : undefined;
  const point = `"." ( ${choices.join(" | ")} )`;
  return mayEnd(from, to) ? `( ${point} )?` : point;
}

function mayEnd(from: Edge | undefined, to: Edge | undefined): boolean {
  const isFromMet = from === undefined || (from.digits === "" && !from.excluded);
  return isFromMet && !(to?.digits === "" && to.excluded);
}

/** Digits, at least one and the last not zero. */
function digitsBetween(from: Edge | undefined, to: Edge | undefined): string[] {
  if (to?.digits === "") return [];
  // Any digit at all is more than none.
  const above = from?.digits === "" ? undefined : from;
  if (above === undefined && to === undefined) return [FRACTION_DIGITS];
  const first = above === undefined ? 0 : Number(above.digits.charAt(0));
  const last = to === undefined ? 9 : Number(to.digits.charAt(0));
  const choices: string[] = [];
  const free: number[] = [];
  for (let digit = first; digit <= last; digit++) {
    const nextFrom = above !== undefined && digit === first ? behind(above) : undefined;
    const nextTo = to !== undefined && digit === last ? behind(to) : undefined;
    if (nextFrom === undefined && nextTo === undefined) free.push(digit);
    else choices.push(...withDigit(digit, nextFrom, nextTo));
  }
  return [...choices, ...freeDigits(free)];
}

function withDigit(digit: number, from: Edge | undefined, to: Edge | undefined): string[] {
  const inner = digitsBetween(from, to);
  const canEnd = digit !== 0 && mayEnd(from, to);
  if (inner.length === 0) return canEnd ? [`"${digit}"`] : [];
  return [join([`"${digit}"`, `( ${inner.join(" | ")} )${canEnd ? "?" : ""}`])];
}

function freeDigits(digits: readonly number[]): string[] {
  const choices: string[] = [];
  if (digits[0] === 0) choices.push(`"0" ${FRACTION_DIGITS}`);
  const [low] = digits.filter((digit) => digit > 0);
  const high = digits.at(-1);
  if (low !== undefined) choices.push(`[${low}-${high}] ( ${FRACTION_DIGITS} )?`);
  return choices;
}

function behind({ digits, excluded }: Edge): Edge {
  return { digits: digits.slice(1), excluded };
}
