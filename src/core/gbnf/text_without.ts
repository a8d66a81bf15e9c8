import { type GrammarBuilder, join, literal } from "./grammar_builder.ts";

/** One beginning of a forbidden text, as far as it has come. */
interface State {
  readonly next: Map<string, State>;
  /** The longest other beginning that this one ends with. */
  fallback: State | undefined;
  isForbidden: boolean;
}

/**
 * The rule of any text, line breaks and the empty one included, in which none of `forbidden` stands (Aho and Corasick 1975):
 * a rule for each beginning of one of them says what may follow there.
 */
export function textWithout(builder: GrammarBuilder, forbidden: readonly string[]): string {
  const states = statesOf(forbidden);
  const names = new Map(states.map((state) => [state, builder.reserve("text")]));
  const [root] = states;
  if (root === undefined) return "";
  for (const [state, name] of names) {
    builder.spend(1);
    const following = followers(state);
    const characters = [...following.keys()];
    const onward = [...following].flatMap(([character, to]) => {
      const rule = names.get(to);
      // What would complete a forbidden text has no rule.
      return rule === undefined ? [] : [join([literal(character), rule])];
    });
    const other = join([
      `[^${characters.map(classCharacter).join("")}\\x00]`,
      names.get(root) ?? "",
    ]);
    builder.define(name, [other, ...onward, `""`].join(" | "));
  }
  return names.get(root) ?? "";
}

/** All beginnings that are not forbidden themselves, the empty one first. */
function statesOf(forbidden: readonly string[]): readonly State[] {
  const root: State = { next: new Map(), fallback: undefined, isForbidden: false };
  for (const text of forbidden) {
    let state = root;
    for (const character of text) {
      const next = state.next.get(character) ??
        { next: new Map(), fallback: root, isForbidden: false };
      state.next.set(character, next);
      state = next;
    }
    state.isForbidden = true;
  }
  const found = [root];
  for (const state of found) {
    for (const [character, next] of state.next) {
      next.fallback = state === root
        ? root
        : followers(state.fallback ?? root).get(character) ?? root;
      next.isForbidden ||= next.fallback.isForbidden;
      if (!next.isForbidden) found.push(next);
    }
  }
  return found;
}

/** Where each character leads that leads anywhere but to the start. */
function followers(state: State): Map<string, State> {
  const following = state.fallback === undefined ? new Map() : followers(state.fallback);
  for (const [character, next] of state.next) following.set(character, next);
  return following;
}

function classCharacter(character: string): string {
  return /[\^\]\\\-\n\r\t]/.test(character)
    ? `\\x${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, "0")}`
    : character;
}
