/**
 * Writes docs/CONFIG.md from the schema. `--check` writes nothing and fails when the page differs.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  flagOf,
  formatRange,
  OPTIONS,
  type OptionSpec,
  PASSED_OVER_VARIABLES,
  RELATIONS,
  variableOf,
} from "../src/config/mod.ts";

const SLICE_TITLES: Readonly<Record<OptionSpec["slice"], string>> = {
  http: "HTTP API",
  scheduler: "Scheduling and memory",
  engine: "Engine",
  storage: "Storage",
  cluster: "Cluster",
  telemetry: "Logs and metrics",
  cli: "Command line",
};

const INTRODUCTION = `# Configuration

<!-- Made by scripts/generate_config.ts from src/config/schema.ts; edit that table, not this page. -->

A value is taken from the first of these that names it: a flag, an \`ODIST_*\` variable, an \`OLLAMA_*\` variable, the
configuration file, the default. \`odist config\` prints every value and where it came from.

The file is \`config.json\` in the data folder, or the one named by \`--config FILE\` or \`ODIST_CONFIG\`: a JSON object whose
keys are the flags without dashes, such as \`{"keep-alive": "10m", "slots": 4}\`. A key that is spelled otherwise (\`keep_alive\`,
\`ODIST_KEEP_ALIVE\`) counts, with a warning; \`odist config --migrate\` writes the file in the names of this release, and keeps the old
one beside it.

Durations are written as \`300ms\`, \`5m\` or \`1h30m\`, or as a number of seconds; sizes as \`64MiB\`, \`1.5GB\` or a number of
bytes. A value that can't be read or lies outside its range stops the program before anything is started, with all
mistakes named at once. \`OLLAMA_*\` variables are read as Ollama reads them: an unreadable boolean counts as true, any other
unreadable value is passed over with a warning.
`;

const PASSED_OVER_TEXT =
  `\`serve\`, \`config\` and \`doctor\` say so when one of them is set. \`OLLAMA_EDITOR\` names the editor of a conversation,
\`OLLAMA_API_KEY\` is read by client libraries, and what device drivers read (\`CUDA_VISIBLE_DEVICES\` and its like)
reaches the runners as it is.`;

/** The whole page. */
export function renderConfigPage(): string {
  const specs: readonly OptionSpec[] = Object.values(OPTIONS);
  const sections = Object.entries(SLICE_TITLES).map(([slice, title]) => {
    const rows = specs.filter((spec) => spec.slice === slice).map(renderOption);
    return `## ${title}\n\n${rows.join("\n")}`;
  });
  const relations = RELATIONS.map(({ options, rule }) =>
    `- \`${flagOf(OPTIONS[options[0]])}\` ${rule.replaceAll(/--[a-z-]+/g, "`$&`")}.`
  );
  const between = `## Between options\n\n${relations.join("\n")}\n`;
  return `${INTRODUCTION}\n${sections.join("\n")}\n${between}\n${renderPassedOver()}`;
}

function renderPassedOver(): string {
  const rows = PASSED_OVER_VARIABLES.map(({ variable, why }) =>
    `- \`${variable}\`: ${why.replaceAll(/--[a-z-]+/g, "`$&`")}`
  );
  return `## Variables of Ollama that change nothing\n\n${PASSED_OVER_TEXT}\n\n${
    rows.join("\n")
  }\n`;
}

function renderOption(spec: OptionSpec): string {
  const defaultText = spec.default === "" ? "none" : `\`${spec.default}\``;
  return [
    `### \`${flagOf(spec)}\``,
    "",
    [spec.summary, spec.details].filter((text) => text !== undefined).join(" "),
    "",
    `- Variable: \`${variableOf(spec)}\`${spec.alias ? `, or \`${spec.alias.variable}\`` : ""}`,
    `- Value: ${formatRange(spec)}`,
    `- Default: ${defaultText.replace("{data}", "<data folder>")}`,
    ...(spec.secret ? ["- Secret: never shown"] : []),
    "",
  ].join("\n");
}

if (import.meta.main) {
  const page = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs", "CONFIG.md");
  const wanted = renderConfigPage();
  if (!Deno.args.includes("--check")) {
    await Deno.mkdir(dirname(page), { recursive: true });
    await Deno.writeTextFile(page, wanted);
  } else if ((await Deno.readTextFile(page)).replaceAll("\r\n", "\n") !== wanted) {
    console.error(
      "docs/CONFIG.md differs from the schema: run deno run -A scripts/generate_config.ts",
    );
    Deno.exit(1);
  }
}
