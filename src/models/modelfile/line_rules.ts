import { RequestError } from "../../base/mod.ts";

/** Rules of one request at most: each is compared with each line of the system text. */
const RULES_MAX = 16;
/** Characters of a line's beginning: fewer would fit lines that nobody meant. */
const BEGINNING_CHARS_MIN = 4;
const BEGINNING_CHARS_MAX = 128;
const ACTIONS = ["drop", "end", "last"] as const;

/**
 * What becomes of lines of the system text that begin in one way: they are left out, go to the system text's end, or to the end
 * of the last message. A beginning is no pattern, so that what it costs to look for it grows with the text alone.
 */
export interface LineRule {
  readonly action: typeof ACTIONS[number];
  /** Compared as it is, behind the spaces that a line begins with. */
  readonly beginning: string;
}

/**
 * Reads the option `volatile_lines`: `drop:BEGINNING`, `end:BEGINNING`, `last:BEGINNING`.
 *
 * @throws RequestError `invalid_option` for what can't be followed.
 */
export function readLineRules(texts: readonly string[]): readonly LineRule[] {
  if (texts.length > RULES_MAX) throw refused(`at most ${RULES_MAX} rules, got ${texts.length}`);
  const rules: LineRule[] = [];
  for (const text of texts) {
    const [word = ""] = text.split(":", 1);
    const action = ACTIONS.find((one) => one === word);
    if (action === undefined || text === word) {
      throw refused(`"drop:BEGINNING", "end:BEGINNING" or "last:BEGINNING", got ${shown(text)}`);
    }
    const beginning = text.slice(word.length + 1).trimStart();
    checkBeginning(beginning);
    const other = rules.find((one) => beginning.startsWith(one.beginning));
    if (other !== undefined) {
      throw refused(
        `no rule that another one hides: ${shown(other.beginning)} stands before ${
          shown(beginning)
        }`,
      );
    }
    rules.push({ action, beginning });
  }
  return rules;
}

function checkBeginning(beginning: string): void {
  if (
    beginning.trim().length < BEGINNING_CHARS_MIN || beginning.length > BEGINNING_CHARS_MAX ||
    /[\p{Cc}\u2028\u2029]/u.test(beginning.replaceAll("\t", ""))
  ) {
    throw refused(
      `beginnings of one line with ${BEGINNING_CHARS_MIN} to ${BEGINNING_CHARS_MAX} characters, ` +
        `got ${shown(beginning)} (${beginning.length})`,
    );
  }
}

function shown(text: string): string {
  const short = text.length > BEGINNING_CHARS_MAX;
  return JSON.stringify(short ? `${text.slice(0, BEGINNING_CHARS_MAX)}...` : text);
}

function refused(wanted: string): RequestError {
  return new RequestError("invalid_option", `option "volatile_lines" takes ${wanted}`, {
    status: 400,
  });
}
