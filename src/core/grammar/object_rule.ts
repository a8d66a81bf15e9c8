import {
  type GrammarBuilder,
  join,
  literal,
  plainCharactersExcept,
  SchemaRefusal,
} from "../gbnf/mod.ts";
import type { Inside } from "./array_rule.ts";
import { below, isNever, type Located, readNamed, readRange, readTexts } from "./schema.ts";

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
  options: { readonly located: Located; readonly inside: Inside },
): string {
  const { located, inside } = options;
  const { schema, at } = located;
  const properties = readNamed(located, "properties");
  const required = new Set(readTexts(located, "required"));
  const unnamed = schema["additionalProperties"] ?? schema["unevaluatedProperties"] ?? true;
  const allowed = allowedNames(located, inside);
  // A required name without a schema may hold anything.
  const names = [
    ...new Set([...Object.keys(properties), ...required, ...isNever(unnamed) ? [] : allowed ?? []]),
  ];
  const colon = builder.shared("colon");
  const members = names.flatMap((name): Member[] => {
    const isRequired = required.has(name);
    const isNamed = Object.hasOwn(properties, name);
    const isForbidden = allowed !== undefined && !allowed.includes(name);
    const value = isForbidden ? false : isNamed ? properties[name] : unnamed;
    // What is forbidden matters only when it is required.
    if (isNever(value) && !isRequired) return [];
    const from = isNamed ? below(at, "properties", name) : below(at, "additionalProperties");
    const key = literal(JSON.stringify(name));
    const text = builder.rule("member", join([key, colon, inside.convert(value, from)]));
    return [{ text, isRequired }];
  });
  const other = allowed === undefined ? otherMember(builder, { located, inside, names }) : "";
  const count = otherCount(builder, located, { members, hasOthers: other !== "" });
  return wrap(builder, { members, other, count });
}

/** The names that `propertyNames` lists; undefined when it doesn't list them. */
function allowedNames({ schema, at }: Located, inside: Inside): readonly string[] | undefined {
  const values = inside.valuesOf(schema["propertyNames"], below(at, "propertyNames"));
  return values?.filter((value) => typeof value === "string");
}

/** A member that the schema doesn't name; "" when there are none. */
function otherMember(
  builder: GrammarBuilder,
  of: { readonly located: Located; readonly inside: Inside; readonly names: readonly string[] },
): string {
  const { located: { schema, at }, inside, names } = of;
  const { propertyNames, patternProperties, additionalProperties } = schema;
  if (patternProperties !== undefined) return patternMember(builder, of);
  const unnamed = additionalProperties ?? schema["unevaluatedProperties"] ?? true;
  const isSilent = additionalProperties === undefined && schema["properties"] !== undefined &&
    Object.keys(readNamed(of.located, "properties")).length > 0;
  if (isNever(unnamed) || isSilent) return "";
  const value = () => inside.convert(unnamed, below(at, "additionalProperties"));
  if (propertyNames === undefined || propertyNames === true) {
    return freeMember(builder, { names, value: value() });
  }
  // A name that fits may be one of those with a schema of its own.
  if (names.length > 0 || isNever(propertyNames)) return "";
  const asText = { allOf: [{ type: "string" }, propertyNames] };
  const key = inside.convert(asText, below(at, "propertyNames"));
  return builder.rule("other", join([key, builder.shared("colon"), value()]));
}

/** Members by the patterns of their names. Others would have to match none of them, and are left out. */
function patternMember(
  builder: GrammarBuilder,
  of: { readonly located: Located; readonly inside: Inside; readonly names: readonly string[] },
): string {
  const { located, inside, names } = of;
  const at = below(located.at, "patternProperties");
  const patterns = Object.entries(readNamed(located, "patternProperties"))
    .filter(([, value]) => !isNever(value));
  if (names.length > 0) {
    if (patterns.length > 0) builder.ignore(at, "isn't followed beside members with a name");
    return "";
  }
  if (patterns.length > 1) builder.ignore(at, "names that match two patterns follow one");
  if (located.schema["propertyNames"] !== undefined && patterns.length > 0) {
    builder.ignore(below(located.at, "propertyNames"), "isn't followed beside patternProperties");
  }
  const choices = patterns.map(([pattern, value]) => {
    const place = below(at, pattern);
    const key = inside.convert({ type: "string", pattern }, place);
    return join([key, builder.shared("colon"), inside.convert(value, place)]);
  });
  return choices.length === 0 ? "" : builder.rule("other", builder.choice(choices));
}

/** A member whose name isn't one of `names`. */
function freeMember(
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
  builder: GrammarBuilder,
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
  if (always > range.max || (!of.hasOthers && range.min > named)) {
    throw new SchemaRefusal(located.at, "no number of members suits it");
  }
  const name = range.min > always ? "minProperties" : "maxProperties";
  builder.ignore(below(located.at, name), "can't count members of which some are optional");
  return { min: 0, max: Infinity };
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
export function membersText(
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
    const text = join([comma, member.text]);
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
