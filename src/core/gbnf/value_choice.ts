import { type GrammarBuilder, join, literal } from "./grammar_builder.ts";

/** Fewer values stand side by side. */
const SHARED_BEGINNINGS_MIN = 16;
/** Beginnings inside beginnings at most; below, values stand side by side. */
const BEGINNINGS_DEPTH_MAX = 24;

/**
 * One of several texts. Where there are many, those that begin alike share that beginning: llama.cpp follows every
 * alternative at once, token by token.
 */
export function valueChoice(builder: GrammarBuilder, texts: readonly string[]): string {
  builder.spend(Math.ceil(texts.length / 16));
  if (texts.length < SHARED_BEGINNINGS_MIN) return builder.choice(texts.map(literal));
  const unique = [...new Set(texts)].map((text) => [...text]);
  return beginnings(unique, { from: 0, depth: 0 });
}

function beginnings(
  texts: readonly (readonly string[])[],
  at: { readonly from: number; readonly depth: number },
): string {
  const { from, depth } = at;
  const [first] = texts;
  if (first === undefined) return "";
  const rest = (text: readonly string[]) => literal(text.slice(from).join(""));
  if (texts.length === 1) return rest(first);
  if (depth > BEGINNINGS_DEPTH_MAX) return `( ${texts.map(rest).join(" | ")} )`;
  let shared = from;
  while (
    first[shared] !== undefined && texts.every((text) => text[shared] === first[shared])
  ) shared++;
  if (shared > from) {
    const inner = beginnings(texts, { from: shared, depth: depth + 1 });
    return join([literal(first.slice(from, shared).join("")), inner]);
  }
  const groups = new Map<string, (readonly string[])[]>();
  for (const text of texts) {
    const group = groups.get(text[from] ?? "") ?? [];
    group.push(text);
    groups.set(text[from] ?? "", group);
  }
  const choices = [...groups].map(([letter, group]) =>
    letter === "" ? `""` : beginnings(group, { from, depth: depth + 1 })
  );
  return `( ${choices.join(" | ")} )`;
}
