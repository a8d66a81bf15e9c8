/**
 * The text format of recorded dialogues, shared by several consensus projects: `#` comments, a directive line, optional
 * input lines, a line of four dashes, the expected output up to a blank line. Two lines of dashes instead of one allow
 * blank lines inside the output, which then ends with two more.
 *
 * @module
 */

/** `key` or `key=value` or `key=(value,value)`. */
export interface Argument {
  readonly key: string;
  /** Empty for a bare word. */
  readonly values: readonly string[];
}

/** One directive and what it is expected to print. */
export interface Directive {
  /** 1-based, of the directive's own line. */
  readonly line: number;
  readonly command: string;
  readonly args: readonly Argument[];
  readonly input: string;
  readonly expected: string;
}

const SEPARATOR = "----";

/** @throws {SyntaxError} naming the line, when the text is not of this format. */
export function parseDialogue(text: string): Directive[] {
  const lines = text.split(/\r?\n/);
  const directives: Directive[] = [];
  let at = 0;
  while (at < lines.length) {
    const start = at;
    let head = lines[at++] ?? "";
    while (head.trimEnd().endsWith("\\")) head = head.trimEnd().slice(0, -1) + (lines[at++] ?? "");
    if (head.trim() === "" || head.trimStart().startsWith("#")) continue;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== SEPARATOR) input.push(lines[at++] ?? "");
    if (at >= lines.length) throw new SyntaxError(`Line ${start + 1}: no "${SEPARATOR}" follows`);
    at++;
    const [expected, end] = readExpected(lines, at);
    at = end;
    const { command, args } = parseHead(head, start + 1);
    directives.push({
      line: start + 1,
      command,
      args,
      input: input.join("\n"),
      expected: expected.join("\n"),
    });
  }
  return directives;
}

function readExpected(lines: readonly string[], start: number): [string[], number] {
  const expected: string[] = [];
  let at = start;
  if (lines[at] !== SEPARATOR) {
    while (at < lines.length && lines[at]?.trim() !== "") expected.push(lines[at++] ?? "");
    return [expected, at];
  }
  at++;
  while (at < lines.length) {
    if (lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR) return [expected, at + 2];
    expected.push(lines[at++] ?? "");
  }
  throw new SyntaxError(`Line ${start + 1}: the output's closing "${SEPARATOR}" lines are missing`);
}

const ARGUMENT = /\s*([^\s=()]+)(?:=(?:\(([^)]*)\)|([^\s()]*)))?/y;

function parseHead(head: string, line: number): { command: string; args: Argument[] } {
  const text = head.trim();
  const args: Argument[] = [];
  ARGUMENT.lastIndex = 0;
  while (ARGUMENT.lastIndex < text.length) {
    const match = ARGUMENT.exec(text);
    if (match === null) throw new SyntaxError(`Line ${line}: cannot read "${text}"`);
    const [, key = "", list, single] = match;
    const values = list !== undefined
      ? list.split(",").map((value) => value.trim()).filter((value) => value !== "")
      : single !== undefined
      ? [single]
      : [];
    args.push({ key, values });
  }
  const [command, ...rest] = args;
  if (command === undefined) throw new SyntaxError(`Line ${line}: no command`);
  return { command: command.key, args: rest };
}
