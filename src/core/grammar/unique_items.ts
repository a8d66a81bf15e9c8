import { type GrammarBuilder, join, literal } from "../gbnf/mod.ts";

/** Rules that counting distinct items may take: one for each value and count. */
const UNIQUE_RULES_MAX = 1_000;

/**
 * Items that all differ, out of a list of values, in the order of that list: an expression with the commas between them, not
 * empty. Undefined = too many rules, "none" = there are not enough values.
 */
export function uniqueItems(
  builder: GrammarBuilder,
  of: { readonly values: readonly unknown[]; readonly min: number; readonly max: number },
): string | "none" | undefined {
  const texts = [...new Set(of.values.map((value) => JSON.stringify(value)))];
  const least = Math.max(1, of.min);
  const most = Math.min(of.max, texts.length);
  if (least > most) return "none";
  // Beyond what is counted for a bound, one more item makes no difference.
  const counted = most < texts.length ? most : least;
  if (texts.length * counted > UNIQUE_RULES_MAX) return undefined;
  const comma = builder.shared("comma");
  const names = new Map<string, string>();
  /** What may follow from the value at `from` on, after `count` items. */
  const follow = (from: number, count: number): string => {
    const key = `${from} ${count}`;
    const known = names.get(key);
    if (known !== undefined) return known;
    builder.spend(1);
    const name = builder.reserve("distinct");
    names.set(key, name);
    const value = literal(texts[from] ?? "");
    const choices: string[] = [];
    const after = Math.min(count + 1, counted);
    if (from < texts.length && (count < most || most === texts.length)) {
      if (canEnd(from + 1, after)) {
        choices.push(join([count === 0 ? "" : comma, value, follow(from + 1, after)]));
      }
      if (canEnd(from + 1, count)) choices.push(follow(from + 1, count));
      else if (count >= least) choices.push(`""`);
    } else if (count >= least) choices.push(`""`);
    builder.define(name, choices.join(" | "));
    return name;
  };
  const canEnd = (from: number, count: number) => count + texts.length - from >= least;
  return follow(0, 0);
}
