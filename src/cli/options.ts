import { type Command, Option } from "commander";
import { flagOf, type OptionName, OPTIONS, type OptionSpec, variableOf } from "../config/mod.ts";

const PLACEHOLDERS: Readonly<Record<Exclude<OptionSpec["kind"], "boolean" | "text">, string>> = {
  address: "HOST",
  endpoint: "HOST:PORT",
  endpoints: "LIST",
  folder: "FOLDER",
  duration: "DURATION",
  count: "N",
  bytes: "SIZE",
  per_device: "LIST",
  list: "LIST",
  choice: "WORD",
};

const OPTION_ROWS = Object.entries(OPTIONS) as readonly (readonly [OptionName, OptionSpec])[];

/** Adds a flag for each wanted option of the schema, and `--config`. */
export function addConfigOptions(
  command: Command,
  isWanted: (name: OptionName, spec: OptionSpec) => boolean,
): void {
  for (const [name, spec] of OPTION_ROWS) {
    if (isWanted(name, spec)) command.addOption(optionOf(spec));
  }
  command.option("--config <FILE>", "Configuration file (ODIST_CONFIG)");
}

/** A list may be given in pieces. */
function optionOf(spec: OptionSpec): Option {
  const option = new Option(flagsOf(spec), describe(spec));
  if (spec.kind !== "endpoints" && spec.kind !== "list") return option;
  return option.argParser((text: string, before: string | undefined) =>
    before === undefined ? text : `${before},${text}`
  );
}

/** The schema's flags among those given on the command line. */
export function configFlagsOf(command: Command): Partial<Record<OptionName, string>> {
  const flags: Partial<Record<OptionName, string>> = {};
  for (const [name, spec] of OPTION_ROWS) {
    const attribute = new Option(flagsOf(spec)).attributeName();
    if (command.getOptionValueSource(attribute) !== "cli") continue;
    flags[name] = String(command.getOptionValue(attribute));
  }
  return flags;
}

/** `--host`, `--key`, `--key-file` and `--json`, for commands that talk to a node. */
export function addClientOptions(command: Command): void {
  command.option(
    "--host <HOST>",
    "Node to talk to (default 127.0.0.1:11434; ODIST_HOST, OLLAMA_HOST)",
  );
  command.option("--key <KEY>", "Key, for a node on another machine (ODIST_KEY)");
  command.option("--key-file <PATH>", "File that holds the key (ODIST_KEY_FILE)");
  addJsonOption(command);
}

/** `--json`, for commands whose output programs may read. */
export function addJsonOption(command: Command): void {
  command.option("--json", "Print JSON instead of text");
}

/** One sentence for a command that belongs to a group, in the group's list and in its own help. */
export function summarize(command: Command, summary: string): void {
  command.summary(summary).description(summary);
}

/** Shown below the options in `--help`; of a group, also in the help of the subcommand that a line is about. */
export function addExamples(command: Command, ...lines: readonly string[]): void {
  command.addHelpText("afterAll", ({ command: shown }) => {
    const words = ` ${command.name()} ${shown.name()} `;
    const own = shown === command ? lines : lines.filter((line) => `${line} `.includes(words));
    if (own.length === 0) return "";
    const title = own.length === 1 ? "Example:" : "Examples:";
    return `\n${title}\n${own.map((line) => `  $ ${line}`).join("\n")}`;
  });
}

function flagsOf(spec: OptionSpec): string {
  if (spec.kind === "boolean") return flagOf(spec);
  const placeholder = spec.kind === "text" ? spec.placeholder : PLACEHOLDERS[spec.kind];
  return `${flagOf(spec)} <${placeholder}>`;
}

/** The summary, and in brackets the default and the variables. */
function describe(spec: OptionSpec): string {
  const variables = [variableOf(spec), spec.alias?.variable].filter((name) => name !== undefined);
  const notes = [...defaultNotes(spec), variables.join(", ")].join("; ");
  const text = "off" in spec ? spec.off : spec.summary;
  return `${text.replace(/\.$/, "")} (${notes})`;
}

function defaultNotes(spec: OptionSpec): readonly string[] {
  if (spec.kind === "boolean") return [];
  if (spec.kind === "text" && spec.automatic !== undefined) return [`default ${spec.automatic}`];
  if (spec.default === "") return [];
  if ("automatic" in spec && spec.default === "0") return [`default 0 = ${spec.automatic}`];
  const choices = spec.kind === "choice" ? [spec.choices.join(", ")] : [];
  return [...choices, `default ${spec.default.replace("{data}", "<data>")}`];
}
