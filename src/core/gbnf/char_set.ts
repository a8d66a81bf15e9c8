/** Code points as sorted ranges, both ends included, that don't touch each other. */
export type CharSet = readonly (readonly [low: number, high: number])[];

const LAST = 0x10ffff;
/** Surrogates are no characters: a string that holds one can't be written as UTF-8. */
const SURROGATES: CharSet = [[0xd800, 0xdfff]];
/** What a JSON string can't hold as it is, and how it is written instead; other control characters are never written. */
const ESCAPED: ReadonlyMap<number, string> = new Map([
  [0x22, String.raw`"\\\""`],
  [0x5c, String.raw`"\\\\"`],
  [0x0a, String.raw`"\\n"`],
  [0x0d, String.raw`"\\r"`],
  [0x09, String.raw`"\\t"`],
  [0x08, String.raw`"\\b"`],
  [0x0c, String.raw`"\\f"`],
]);
const NEVER_PLAIN: CharSet = [[0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]];

/** The union of ranges in any order. */
export function charSet(ranges: readonly (readonly [number, number])[]): CharSet {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else joined.push([low, high]);
  }
  return joined;
}

/** All characters that aren't in the set. */
export function complement(set: CharSet): CharSet {
  const rest: [number, number][] = [];
  let next = 0;
  for (const [low, high] of charSet([...set, ...SURROGATES])) {
    if (low > next) rest.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= LAST) rest.push([next, LAST]);
  return rest;
}

/** A GBNF expression for one character of the set inside a JSON string; undefined when none can be written. */
export function jsonCharacter(set: CharSet): string | undefined {
  const excluded = complement(charSet([...complement(set), ...NEVER_PLAIN]));
  const choices = excluded.length === 0 ? [] : [`[${excluded.map(rangeText).join("")}]`];
  for (const [point, text] of ESCAPED) {
    if (set.some(([low, high]) => low <= point && point <= high)) choices.push(text);
  }
  if (choices.length === 0) return undefined;
  return choices.length === 1 ? choices[0] : `( ${choices.join(" | ")} )`;
}

/** A GBNF class of the characters outside of `points` that a JSON string can hold as they are. */
export function plainCharactersExcept(points: readonly number[]): string {
  const set = charSet([...NEVER_PLAIN, ...points.map((point) => [point, point] as const)]);
  return `[^${set.map(rangeText).join("")}]`;
}

function rangeText([low, high]: readonly [number, number]): string {
  return low === high ? pointText(low) : `${pointText(low)}-${pointText(high)}`;
}

/** Letters and digits as they are, everything else by number, because GBNF knows few escapes. */
function pointText(point: number): string {
  const text = String.fromCodePoint(point);
  if (/[A-Za-z0-9]/.test(text)) return text;
  const hex = point.toString(16).toUpperCase();
  if (point <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return point <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
