import type { Convert } from "./array_rule.ts";
import { plainCharactersExcept } from "./char_set.ts";
import { type GrammarBuilder, join, literal } from "./grammar_builder.ts";
import { SchemaRefusal } from "./refusal.ts";
import { below, type Located, readNamed, readRange, readTexts } from "./schema.ts";

/** Members beyond the named ones at most, where a `maxProperties` asks for counting. */
const MEMBERS_MAX = 1_000;

/** A named member: its text and whether it must be there. */
interface Member {
  readonly text: string;
  readonly isRequired: boolean;
}

/**
 * An expression for a JSON object: the named members in the schema's order, optional ones left out at will, and then
 * others if `additionalProperties` says so. Without that keyword others are allowed only where none is named: what a
 * reader asks for by name is what he wants.
 */
export function objectRule(
  builder: GrammarBuilder,
  options: { readonly located: Located; readonly convert: Convert },
): string {
  const { located, convert } = options;
  const { schema, at } = located;
  const properties = readNamed(located, "properties");
  const required = new Set(readTexts(located, "required"));
  const unnamed = schema["additionalProperties"] ?? schema["unevaluatedProperties"] ?? true;
  const isSilent = schema["additionalProperties"] === undefined;
  const others = isSilent && Object.keys(properties).length > 0 ? false : unnamed;
  // A required name without a schema may hold anything.
  const names = [...new Set([...Object.keys(properties), ...required])];
  const colon = builder.shared("colon");
  const members = names.flatMap((name): Member[] => {
    const isRequired = required.has(name);
    const isNamed = Object.hasOwn(properties, name);
    const value = isNamed ? properties[name] : unnamed;
    // `false` forbids the member, which matters only when it is required.
    if (value === false && !isRequired) return [];
    const from = isNamed ? below(at, "properties", name) : below(at, "additionalProperties");
    const key = literal(JSON.stringify(name));
    return [{ text: builder.rule("member", join([key, colon, convert(value, from)])), isRequired }];
  });
  const other = others === false
    ? ""
    : otherMember(builder, { names, value: convert(others, below(at, "additionalProperties")) });
  const count = otherCount(located, { members, hasOthers: other !== "" });
  return wrap(builder, { members, other, count });
}

/** A member whose name isn't one of `names`. */
function otherMember(
  builder: GrammarBuilder,
  of: { names: readonly string[]; value: string },
): string {
  const key = of.names.length === 0
    ? builder.shared("string")
    : builder.rule("key", String.raw`"\"" ${keyExcept(builder, of.names)} "\""`);
  return builder.rule("other", join([key, builder.shared("colon"), of.value]));
}

/**
 * The rest of a name that differs from all `endings`, following them letter by letter. Escapes are not written, because
 * `\u0061` would spell a forbidden `a`.
 */
function keyExcept(builder: GrammarBuilder, endings: readonly string[]): string {
  const following = new Map<number, string[]>();
  for (const ending of endings) {
    const point = ending.codePointAt(0);
    if (point === undefined) continue;
    const tails = following.get(point) ?? [];
    tails.push(ending.slice(String.fromCodePoint(point).length));
    following.set(point, tails);
  }
  const any = builder.rule("plain", plainCharactersExcept([]));
  if (following.size === 0) return `${any}+`;
  const choices = [`${plainCharactersExcept([...following.keys()])} ${any}*`];
  for (const [point, tails] of following) {
    const text = String.fromCodePoint(point);
    // A name with such a character can't be spelled without escapes anyway.
    if (text === '"' || text === "\\" || point < 0x20) continue;
    choices.push(`${literal(text)} ${keyExcept(builder, tails)}`);
  }
  const mayEnd = !endings.includes("");
  return builder.rule("key", choices.join(" | ") + (mayEnd ? ` | ""` : ""));
}

/** How many other members there may be, from `minProperties` and `maxProperties`. */
function otherCount(
  located: Located,
  of: { members: readonly Member[]; hasOthers: boolean },
): { min: number; max: number } {
  const range = readRange(located, { min: "minProperties", max: "maxProperties" });
  const always = of.members.filter((member) => member.isRequired).length;
  const named = of.members.length;
  if (always === named && (of.hasOthers || named <= range.max)) {
    const min = Math.max(0, range.min - named);
    const max = range.max === Infinity ? Infinity : Math.min(range.max, MEMBERS_MAX) - named;
    if (max >= min && min <= MEMBERS_MAX && (of.hasOthers || min === 0)) return { min, max };
  } else if (
    range.min <= always && (range.max === Infinity || (!of.hasOthers && named <= range.max))
  ) {
    return { min: 0, max: Infinity };
  }
  throw new SchemaRefusal(located.at, "can't count members of which some are optional");
}

function wrap(
  builder: GrammarBuilder,
  of: { members: readonly Member[]; other: string; count: { min: number; max: number } },
): string {
  const [ws, comma] = [builder.shared("ws"), builder.shared("comma")];
  const inner = membersText(builder, { ...of, comma });
  if (inner === "") return builder.rule("object", `"{" ${ws} "}"`);
  const mayBeEmpty = of.members.every((member) => !member.isRequired) && of.count.min === 0;
  const content = mayBeEmpty ? `( ${inner} ${ws} )?` : `${inner} ${ws}`;
  return builder.rule("object", `"{" ${ws} ${content} "}"`);
}

/** At least one member: each member that may be the first, followed by what may follow it. */
function membersText(
  builder: GrammarBuilder,
  of: {
    members: readonly Member[];
    other: string;
    count: { min: number; max: number };
    comma: string;
  },
): string {
  const { members, other, count, comma } = of;
  // tails[i]: everything that may follow once a member before position i was written.
  const tails: string[] = [];
  const nextOther = other === "" || count.max === 0
    ? ""
    : builder.repeat(builder.rule("more", `${comma} ${other}`), count);
  tails[members.length] = nextOther;
  for (let at = members.length - 1; at > 0; at--) {
    const member = members[at];
    const after = tails[at + 1] ?? "";
    if (member === undefined) continue;
    const text = `${comma} ${member.text}`;
    const body = join([member.isRequired ? text : `( ${text} )?`, after]);
    tails[at] = builder.rule("tail", body);
  }
  const first: string[] = [];
  for (const [at, member] of members.entries()) {
    first.push(join([member.text, tails[at + 1] ?? ""]));
    if (member.isRequired) return builder.choice(first);
  }
  if (nextOther !== "") {
    const following = { min: Math.max(0, count.min - 1), max: count.max - 1 };
    const more = builder.rule("more", `${comma} ${other}`);
    first.push(join([other, builder.repeat(more, following)]));
  }
  return first.length === 0 ? "" : builder.choice(first);
}
