import { type Command, Option } from "commander";
import { RequestError } from "../base/mod.ts";

/** The words of Go's flag package, in which scripts for Ollama say yes and no. */
const TRUE_WORDS: ReadonlySet<string> = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE_WORDS: ReadonlySet<string> = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** Gives every flag without a value, of the command and of those under it, the flag that says the opposite. */
export function addNegations(command: Command): void {
  const longs = new Set(command.options.map(({ long }) => long));
  for (const option of [...command.options]) {
    if (option.required || option.optional) continue;
    const opposite = oppositeOf(option);
    if (opposite === undefined || longs.has(opposite)) continue;
    const added = new Option(opposite).hideHelp();
    // Where both are there, commander takes yes for granted of neither.
    command.addOption(option.negate ? added.default(true) : added);
  }
  for (const under of command.commands) addNegations(under);
}

/**
 * Reads `--flag=false` and its like as the flag that says so, as far as the options go.
 *
 * @throws RequestError `bad_usage` for a value that is neither yes nor no.
 */
export function withPlainFlags(program: Command, args: readonly string[]): readonly string[] {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  let command = program;
  return args.map((arg, index) => {
    if (index >= end) return arg;
    if (!arg.startsWith("-")) {
      command = command.commands.find((one) => isNamed(one, arg)) ?? command;
      return arg;
    }
    return plainFlag(command, arg);
  });
}

function isNamed(command: Command, word: string): boolean {
  return command.name() === word || command.aliases().includes(word);
}

function plainFlag(command: Command, arg: string): string {
  const match = /^(--?[^=]+)=(.*)$/s.exec(arg);
  if (match === null) return arg;
  const [, flag = "", value = ""] = match;
  const option = command.options.find(({ long, short }) => flag === long || flag === short);
  if (option === undefined || option.required || option.optional) return arg;
  if (TRUE_WORDS.has(value)) return flag;
  const opposite = oppositeOf(option);
  if (FALSE_WORDS.has(value) && opposite !== undefined) return opposite;
  throw new RequestError("bad_usage", `${flag} must be true or false: current value is "${value}"`);
}

function oppositeOf({ long }: Option): string | undefined {
  if (long === undefined || long === null) return undefined;
  return long.startsWith("--no-") ? `--${long.slice("--no-".length)}` : `--no-${long.slice(2)}`;
}
