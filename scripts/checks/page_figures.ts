/**
 * Figures as people write them: `512`, `1,024`, `64 KiB`, `1 Mi`, `250 ms`, `half a minute`.
 *
 * @module
 */
import type { SourceNumber } from "./source_constants.ts";

/** A figure in a text. */
export interface Figure extends SourceNumber {
  /** As written. */
  readonly text: string;
  /** Where it begins. */
  readonly at: number;
  /** Whether it says a time or a size, or is at least written in digits. */
  readonly form: "unit" | "digits" | "word";
}

const WORDS: Readonly<Record<string, number>> = {
  "half a": 0.5,
  "half an": 0.5,
  "a": 1,
  "an": 1,
  "one": 1,
  "two": 2,
  "three": 3,
  "four": 4,
  "five": 5,
  "six": 6,
  "seven": 7,
  "eight": 8,
  "ten": 10,
  "twelve": 12,
};
const TIMES: Readonly<Record<string, number>> = {
  us: 1e-3,
  ms: 1,
  milliseconds: 1,
  s: 1_000,
  seconds: 1_000,
  minutes: 60_000,
  hours: 3_600_000,
  days: 86_400_000,
  weeks: 7 * 86_400_000,
  years: 365 * 86_400_000,
};
const SIZES: Readonly<Record<string, number>> = {
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};
const MULTIPLES: Readonly<Record<string, number>> = {
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  million: 1e6,
};

const NUMBER = String.raw`\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?`;
const UNIT = String
  .raw`KiB|MiB|GiB|TiB|Ki|Mi|Gi|million|us|ms|s|(?:millisecond|second|minute|hour|day|week|year)s?`;
const FIGURE = new RegExp(
  String.raw`(?<![\w.,:/#^-])(?:(2)\^(\d+)|(${NUMBER})|\b(${Object.keys(WORDS).join("|")})\b)` +
    String.raw`(?:[\s-](${UNIT})\b)?(?![\w^/]|[.,:]\d)`,
  "gi",
);

/** The figures of a text, whose code spans, links' targets and comments are left out. */
export function figuresIn(text: string): Figure[] {
  return [...blank(text).matchAll(FIGURE)].flatMap((match) => {
    const [written, , exponent, digits, word = "", unit] = match;
    const count = exponent !== undefined
      ? 2 ** Number(exponent)
      : digits !== undefined
      ? Number(digits.replaceAll(",", ""))
      : WORDS[word.toLowerCase()] ?? NaN;
    // An article is no figure, unless it counts a unit: "a minute". "A second" mostly is another one.
    if (/^an?$/i.test(word) && (unit === undefined || unit === "second")) return [];
    if (/^half/i.test(word) && unit === undefined) return [];
    const scale = scaleOf(unit);
    const form = scale.isUnit
      ? "unit"
      : digits === undefined && exponent === undefined
      ? "word"
      : "digits";
    return [
      {
        text: written.replaceAll(/\s+/g, " "),
        at: match.index,
        value: count * scale.factor,
        dimension: scale.dimension,
        form,
      } satisfies Figure,
    ];
  });
}

/** Whether the figure says what the source does. */
export function says(figure: SourceNumber, number: SourceNumber): boolean {
  if (figure.dimension !== number.dimension) return false;
  return Math.abs(figure.value - number.value) <= Math.abs(number.value) * 1e-9;
}

function scaleOf(unit: string | undefined): {
  readonly factor: number;
  readonly dimension: SourceNumber["dimension"];
  readonly isUnit: boolean;
} {
  if (unit === undefined) return { factor: 1, dimension: "plain", isUnit: false };
  const time = TIMES[unit] ?? TIMES[`${unit}s`];
  if (time !== undefined) return { factor: time, dimension: "time", isUnit: true };
  const size = SIZES[unit];
  if (size !== undefined) return { factor: size, dimension: "plain", isUnit: true };
  return { factor: MULTIPLES[unit] ?? 1, dimension: "plain", isUnit: false };
}

/** Spaces in place of what is not prose (titles of tests stand in quotes), so that places stay what they are. */
function blank(text: string): string {
  return text.replaceAll(
    /<!--.*?-->|`[^`]*`|"[^"\n]*"|\]\([^)]*\)/gs,
    (span) => " ".repeat(span.length),
  );
}
