import type { Command } from "commander";
import type { CliContext } from "./context.ts";

/** Gives a command its arguments, options and action. `loadAll` makes the whole tree of commands. */
type DefineCommand = (
  command: Command,
  context: CliContext,
  loadAll: () => Promise<Command>,
) => void;

/** One command: enough for the list of commands; the rest is loaded when the command is used. */
export interface CommandRow {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  /** Flags whose value only ever follows `=`, so that `run m --think "why?"` asks why; alone they mean true. */
  readonly equalsFlags?: readonly string[];
  load(): Promise<{ readonly define: DefineCommand }>;
}
