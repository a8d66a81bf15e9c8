import type { CliContext } from "../context.ts";

/** Prints a value for programs: indented JSON and an end of line. */
export function printJson(context: CliContext, value: unknown): void {
  context.terminal.out.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
