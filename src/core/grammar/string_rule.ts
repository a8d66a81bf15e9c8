import { type GrammarBuilder, join } from "./grammar_builder.ts";
import { parsePattern, type PatternNode } from "./pattern_parser.ts";
import { SchemaRefusal } from "./refusal.ts";
import { below, type Located, readRange } from "./schema.ts";

/**
 * Longest string under a `maxLength`: a larger limit is lowered to it, which keeps every answer valid. A larger `minLength`
 * is refused.
 */
export const STRING_LENGTH_MAX = 8_000;

const DAY_31 = `( "0" [1-9] | [12] [0-9] | "3" [01] )`;
const DAY_30 = `( "0" [1-9] | [12] [0-9] | "30" )`;
const DAY_29 = `( "0" [1-9] | [12] [0-9] )`;
const DATE = `[0-9]{4} "-" ( ( "0" [13578] | "1" [02] ) "-" ${DAY_31} | ` +
  `( "0" [469] | "11" ) "-" ${DAY_30} | "02-" ${DAY_29} )`;
const HOUR = `( [01] [0-9] | "2" [0-3] )`;
const TIME = `${HOUR} ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9]{1,9} )? ` +
  `( "Z" | [-+] ${HOUR} ":" [0-5] [0-9] )`;
const HEX = "[0-9a-fA-F]";

/** Formats that are enforced; others are annotations, as JSON Schema has it. */
const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE} "T" ${TIME}`],
  ["uuid", `${HEX}{8} "-" ${HEX}{4} "-" ${HEX}{4} "-" ${HEX}{4} "-" ${HEX}{12}`],
]);

/** An expression for a JSON string under the schema's keywords. */
export function stringRule(builder: GrammarBuilder, located: Located): string {
  const { schema, at } = located;
  const range = readRange(located, { min: "minLength", max: "maxLength" });
  const isFree = range.min === 0 && range.max === Infinity;
  const pattern = schema["pattern"];
  const format = FORMATS.get(String(schema["format"]));
  if (pattern !== undefined) {
    if (!isFree || format !== undefined) {
      throw new SchemaRefusal(below(at, "pattern"), "can't be combined with a length or format");
    }
    if (typeof pattern !== "string") {
      throw new SchemaRefusal(below(at, "pattern"), "must be a text");
    }
    return quoted(builder, patternRule(builder, { pattern, at: below(at, "pattern") }));
  }
  if (format !== undefined) {
    if (!isFree) throw new SchemaRefusal(below(at, "format"), "can't be combined with a length");
    return quoted(builder, format);
  }
  if (isFree) return builder.shared("string");
  if (range.min > STRING_LENGTH_MAX) {
    throw new SchemaRefusal(below(at, "minLength"), `is more than ${STRING_LENGTH_MAX}`);
  }
  const max = range.max === Infinity ? Infinity : Math.min(range.max, STRING_LENGTH_MAX);
  return quoted(builder, builder.repeat(builder.shared("char"), { min: range.min, max }));
}

function quoted(builder: GrammarBuilder, inner: string): string {
  const quote = String.raw`"\""`;
  return builder.rule("string", join([quote, inner, quote]));
}

/** Without anchors a pattern may match anywhere inside the text. */
function patternRule(
  builder: GrammarBuilder,
  of: { readonly pattern: string; readonly at: string },
): string {
  const node = parsePattern(of.pattern, of.at);
  const choices = node.kind === "choice" ? node.choices : [node];
  const anything = `${builder.shared("char")}*`;
  return builder.choice(choices.map((choice) => {
    const parts = choice.kind === "sequence" ? [...choice.parts] : [choice];
    const before = parts[0]?.kind === "start" ? (parts.shift(), "") : anything;
    const after = parts.at(-1)?.kind === "end" ? (parts.pop(), "") : anything;
    const inner = patternText(builder, { node: { kind: "sequence", parts }, at: of.at });
    return join([before, inner, after]) || `""`;
  }));
}

function patternText(
  builder: GrammarBuilder,
  of: { readonly node: PatternNode; readonly at: string },
): string {
  const { node, at } = of;
  builder.spend(1);
  switch (node.kind) {
    case "characters": {
      const text = builder.character(node.set);
      if (text === undefined) throw new SchemaRefusal(at, "a class holds no character");
      return text;
    }
    case "sequence":
      return join(node.parts.map((part) => patternText(builder, { node: part, at })));
    case "choice": {
      const texts = node.choices.map((choice) => patternText(builder, { node: choice, at }));
      return builder.choice(texts.map((text) => text === "" ? `""` : text));
    }
    case "repeat": {
      // llama.cpp takes the repetition of something empty for left recursion and refuses it.
      if (canBeEmpty(node.of)) throw new SchemaRefusal(at, "repeats what can be empty");
      if (Math.max(node.min, node.max === Infinity ? 0 : node.max) > STRING_LENGTH_MAX) {
        throw new SchemaRefusal(at, `repeats more than ${STRING_LENGTH_MAX} times`);
      }
      return builder.repeat(patternText(builder, { node: node.of, at }), node);
    }
    default:
      throw new SchemaRefusal(at, "anchors may stand only at the ends");
  }
}

function canBeEmpty(node: PatternNode): boolean {
  switch (node.kind) {
    case "characters":
      return false;
    case "sequence":
      return node.parts.every(canBeEmpty);
    case "choice":
      return node.choices.some(canBeEmpty);
    case "repeat":
      return node.min === 0 || canBeEmpty(node.of);
    default:
      return true;
  }
}
