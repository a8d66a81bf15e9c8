/** Moves a terminal's cursor, begins one of its commands, or turns the direction of what follows. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text from outside as one line that changes nothing of a terminal but the cells it fills. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, "\ufffd");
}
