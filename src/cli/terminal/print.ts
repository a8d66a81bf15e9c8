import { printableJson } from "../../base/mod.ts";
import type { Terminal } from "./terminal.ts";

/** Prints a value for programs: indented JSON and an end of line. */
export function printJson(context: { readonly terminal: Terminal }, value: unknown): void {
  context.terminal.out.write(`${printableJson(value, 2)}\n`);
}
