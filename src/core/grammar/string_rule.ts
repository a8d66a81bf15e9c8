import {
  bothPatterns,
  boundedPattern,
  complement,
  FORMATS,
  type GrammarBuilder,
  join,
  type Lengths,
  lengthsOf,
  LimitRefusal,
  parsePattern,
  type PatternNode,
  SchemaRefusal,
} from "../gbnf/mod.ts";
import { below, type Located, readRange } from "./schema.ts";

/**
 * Longest string under a `maxLength`: a larger limit is lowered to it, which keeps every answer valid. A larger `minLength`
 * is refused.
 */
export const STRING_LENGTH_MAX = 8_000;

/** Any text, before and behind a pattern that isn't bound to an end. */
const ANYTHING: PatternNode = {
  kind: "repeat",
  of: { kind: "characters", set: complement([]) },
  min: 0,
  max: Infinity,
};

/** A pattern and the place it was read from. */
interface Read {
  readonly node: PatternNode;
  readonly at: string;
}

/**
 * An expression for a JSON string under the schema's keywords. Where a pattern and a format are too large to be followed
 * together the pattern holds: by the standard, a format is an annotation.
 */
export function stringRule(builder: GrammarBuilder, located: Located): string {
  const lengths = readRange(located, { min: "minLength", max: "maxLength" });
  const [pattern, format] = [readPattern(located, builder), readFormat(located)];
  const both = pattern && format && bothPatterns(builder, pattern.node, format.node);
  if (both !== undefined && both !== "none" && fits(format, lengths)) return quoted(builder, both);
  for (const read of [pattern, format]) {
    const text = read && writePattern(builder, { ...read, lengths });
    if (text !== undefined) return quoted(builder, text);
  }
  if (lengths.min === 0 && lengths.max === Infinity) return builder.shared("string");
  if (lengths.min > STRING_LENGTH_MAX) {
    throw new SchemaRefusal(below(located.at, "minLength"), `is more than ${STRING_LENGTH_MAX}`);
  }
  const max = lengths.max === Infinity ? Infinity : Math.min(lengths.max, STRING_LENGTH_MAX);
  return quoted(builder, builder.repeat(builder.shared("char"), { min: lengths.min, max }));
}

function fits(read: Read | undefined, lengths: Lengths): boolean {
  if (read === undefined) return false;
  const own = lengthsOf(read.node);
  return own.min >= lengths.min && own.max <= lengths.max;
}

function readPattern({ schema, at }: Located, builder: GrammarBuilder): Read | undefined {
  const { pattern } = schema;
  if (pattern === undefined) return undefined;
  const place = below(at, "pattern");
  if (typeof pattern !== "string") throw new SchemaRefusal(place, "must be a text");
  return attempt(
    builder,
    place,
    () => ({ node: unanchored(parsePattern(pattern, place)), at: place }),
  );
}

function readFormat({ schema, at }: Located): Read | undefined {
  const pattern = FORMATS.get(String(schema["format"]));
  const place = below(at, "format");
  return pattern === undefined ? undefined : { node: parsePattern(pattern, place), at: place };
}

/** What `write` makes; undefined, with a note, where a grammar can't follow the pattern. */
function attempt<Made>(builder: GrammarBuilder, at: string, write: () => Made): Made | undefined {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof SchemaRefusal) || error instanceof LimitRefusal) throw error;
    builder.ignore(at, error.why);
    return undefined;
  }
}

/** An expression for what is between the quotes. */
function writePattern(
  builder: GrammarBuilder,
  of: Read & { readonly lengths: Lengths },
): string | undefined {
  const { node, at, lengths } = of;
  const own = lengthsOf(node);
  if (own.min >= lengths.min && own.max <= lengths.max) {
    return attempt(builder, at, () => patternText(builder, of) || `""`);
  }
  const counted = boundedPattern(builder, node, lengths);
  if (counted === "none") throw new SchemaRefusal(at, "no text has such a length");
  if (counted !== undefined) return counted;
  const text = attempt(builder, at, () => patternText(builder, of) || `""`);
  if (text !== undefined) {
    builder.ignore(at, "the lengths beside it can't be followed by a grammar");
  }
  return text;
}

function quoted(builder: GrammarBuilder, inner: string): string {
  const quote = String.raw`"\""`;
  return builder.rule("string", join([quote, inner, quote]));
}

/** Without anchors a pattern may match anywhere inside the text. */
function unanchored(node: PatternNode): PatternNode {
  const choices = node.kind === "choice" ? node.choices : [node];
  const whole = choices.map((choice): PatternNode => {
    const parts = choice.kind === "sequence" ? [...choice.parts] : [choice];
    const before = parts[0]?.kind === "start" ? (parts.shift(), []) : [ANYTHING];
    const after = parts.at(-1)?.kind === "end" ? (parts.pop(), []) : [ANYTHING];
    return { kind: "sequence", parts: [...before, ...parts, ...after] };
  });
  return { kind: "choice", choices: whole };
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
      if (Math.max(node.min, node.max === Infinity ? 0 : node.max) > STRING_LENGTH_MAX) {
        throw new SchemaRefusal(at, `repeats more than ${STRING_LENGTH_MAX} times`);
      }
      if (!canBeEmpty(node.of)) {
        return builder.repeat(patternText(builder, { node: node.of, at }), node);
      }
      // llama.cpp takes the repetition of something empty for left recursion and refuses it.
      const inner = patternText(builder, { node: filled(node.of), at });
      return builder.repeat(inner, { min: 0, max: node.max });
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

/** The texts of a node but the empty one. */
function filled(node: PatternNode): PatternNode {
  switch (node.kind) {
    case "sequence":
      if (!canBeEmpty(node)) return node;
      return {
        kind: "choice",
        choices: node.parts.map((part, index) => ({
          kind: "sequence",
          parts: [filled(part), ...node.parts.slice(index + 1)],
        })),
      };
    case "choice":
      return { kind: "choice", choices: node.choices.map(filled) };
    case "repeat":
      return { kind: "repeat", of: filled(node.of), min: Math.max(1, node.min), max: node.max };
    default:
      return node;
  }
}
