/** Moves a terminal's cursor, begins one of its commands, or turns the direction of what follows. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** The same but for ends of lines, tabs, and the marks (not the overrides) that texts from right to left need. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE_IN_TEXT = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202d\u202e]/g;
/** What JSON leaves as it is. */
const UNPRINTABLE_IN_JSON = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
/** Stands where something was that is not shown. */
const GAP = "\ufffd";

/** Text from outside as one line that changes nothing of a terminal but the cells it fills. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, GAP);
}

/** Text from outside that may have several lines and be in any language; carriage returns go. */
export function printableText(text: string): string {
  return text.replaceAll("\r", "").replaceAll(UNPRINTABLE_IN_TEXT, GAP);
}

/** A value as JSON that any terminal may show; `indent` in columns, default none. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent) ?? "";
  return text.replaceAll(
    UNPRINTABLE_IN_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
