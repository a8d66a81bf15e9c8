import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { errorMessage, findNearest, formatGoDuration, RequestError } from "../base/mod.ts";
import { formatHost, type HostAddress } from "./host_address.ts";
import { flagOf, type OptionSpec, type OptionValue, variableOf } from "./option_spec.ts";
import { PASSED_OVER_VARIABLES } from "./ollama_variables.ts";
import {
  formatByteCount,
  formatPerDevice,
  type Parsed,
  parseLenient,
  parseStrict,
} from "./parse_option.ts";
import { type Config, type OptionName, OPTIONS, type OptionValues, RELATIONS } from "./schema.ts";
import { FILE_KEYS, keyMeant } from "./spellings.ts";

/** Where values come from, in the order in which they win. */
export interface ConfigSources {
  /** Texts as given on the command line; `"false"` for a `--no-…` flag. */
  readonly flags: Readonly<Partial<Record<OptionName, string>>>;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The configuration file: its path for messages, and its JSON text. */
  readonly file?: { readonly path: string; readonly text: string };
  /** Secrets that are in files of their own; after everything else, as whoever gives a secret itself means it. */
  readonly secrets?: Readonly<
    Partial<Record<OptionName, { readonly path: string; readonly text: string }>>
  >;
}

/** Where one value came from; `name` is the flag, the variable or the file's path. */
export type Origin =
  | { readonly kind: "flag" | "environment" | "file"; readonly name: string }
  | { readonly kind: "default" };

/** What the sources come to. */
export interface LoadedConfig {
  readonly config: Config;
  readonly origins: Readonly<Record<OptionName, Origin>>;
  /** What Ollama's variables said that could not be read or changes nothing, and secrets that others can read, one sentence each. */
  readonly warnings: readonly string[];
}

interface Finding {
  readonly text: string;
  readonly origin: Origin;
  readonly reading: "strict" | "lenient";
}

const OPTION_ROWS = Object.entries(OPTIONS) as readonly (readonly [OptionName, OptionSpec])[];

/**
 * Merges flags over environment over file over defaults and checks everything before anything is started.
 *
 * @throws RequestError `invalid_config` naming every bad value, the wanted range and the origin.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const warnings = passedOver(sources.env);
  const problems: string[] = [];
  const fileTexts = sources.file === undefined
    ? {}
    : readFile(sources.file, { warnings, problems });
  const values = new Map<OptionName, OptionValue>();
  const origins = new Map<OptionName, Origin>();
  for (const [name, spec] of OPTION_ROWS) {
    const findings = findValues(name, spec, { ...sources, fileTexts });
    const accepted = accept(spec, findings, { warnings, problems });
    values.set(name, accepted.value);
    origins.set(name, accepted.origin);
  }
  const home = trimmed(sources.env.HOME) ?? trimmed(sources.env.USERPROFILE) ?? homedir();
  resolveFolders(values, home);
  const flat = Object.fromEntries(values) as unknown as OptionValues;
  // A relation between values that are wrong by themselves would only repeat the complaint.
  if (problems.length === 0) problems.push(...findBrokenRelations(flat));
  if (problems.length > 0) {
    const text = problems.length === 1 ? ` ${problems[0]}` : `\n  ${problems.join("\n  ")}`;
    throw new RequestError("invalid_config", `Cannot use this configuration:${text}`);
  }
  return {
    config: freezeSlices(flat),
    origins: Object.freeze(Object.fromEntries(origins)) as Readonly<Record<OptionName, Origin>>,
    warnings,
  };
}

/** One sentence for each of Ollama's variables that is set and changes nothing. */
function passedOver(env: ConfigSources["env"]): string[] {
  return PASSED_OVER_VARIABLES.filter(({ variable }) => trimmed(env[variable]) !== undefined)
    .map(({ variable, why }) => `${variable} changes nothing: ${why}`);
}

/** Each value as text in the form users write it, and where it came from; secrets are masked. */
export function describeConfig(
  loaded: LoadedConfig,
): readonly { readonly name: string; readonly value: string; readonly origin: string }[] {
  return OPTION_ROWS.map(([name, spec]) => {
    const slice: Readonly<Record<string, OptionValue>> = loaded.config[spec.slice];
    const origin = loaded.origins[name];
    return {
      name: spec.flag,
      value: formatValue(spec, slice[name] ?? ""),
      origin: origin.kind === "default" ? "default" : `${origin.kind} ${origin.name}`,
    };
  });
}

/** A value in the form users write it; a secret only as that it is there. */
function formatValue(spec: OptionSpec, value: OptionValue): string {
  if (spec.secret && value !== "") return "(secret)";
  if (typeof value === "string") return value;
  if (spec.kind === "per_device" && Array.isArray(value)) return formatPerDevice(spec, value);
  if (typeof value === "object") {
    return "hostname" in value ? formatAddress(value) : value.map(formatAddress).join(",");
  }
  if (typeof value === "boolean" || spec.kind === "count") return String(value);
  if (value === Infinity) return "-1";
  return spec.kind === "bytes" ? formatByteCount(value) : formatGoDuration(value);
}

/** Nothing where both halves are the node's own choice. */
function formatAddress(value: HostAddress | string | number): string {
  if (typeof value !== "object") return String(value);
  return value.hostname === "" && value.port === 0 ? "" : formatHost(value);
}

/** Every place that names a value, the winning one first. */
function findValues(
  name: OptionName,
  spec: OptionSpec,
  sources: ConfigSources & { readonly fileTexts: Readonly<Record<string, string>> },
): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (text: string | undefined, origin: Origin, reading: Finding["reading"]) => {
    if (text !== undefined) findings.push({ text, origin, reading });
  };
  add(sources.flags[name], { kind: "flag", name: flagOf(spec) }, "strict");
  const variables = [variableOf(spec), ...(spec.alias ? [spec.alias.variable] : [])];
  for (const [index, variable] of variables.entries()) {
    const origin = { kind: "environment", name: variable } as const;
    add(trimmed(sources.env[variable]), origin, index === 0 ? "strict" : "lenient");
  }
  const path = sources.file?.path ?? "";
  add(sources.fileTexts[spec.flag], { kind: "file", name: path }, "strict");
  const secret = sources.secrets?.[name];
  add(secret?.text, { kind: "file", name: secret?.path ?? "" }, "strict");
  return findings;
}

function accept(
  spec: OptionSpec,
  findings: readonly Finding[],
  notes: { readonly warnings: string[]; readonly problems: string[] },
): { readonly value: OptionValue; readonly origin: Origin } {
  for (const { text, origin, reading } of findings) {
    const name = origin.kind === "default" ? spec.flag : origin.name;
    const parsed: Partial<Parsed> & { readonly warning?: string } = reading === "strict"
      ? parseStrict(spec, text)
      : parseLenient(spec, text);
    const place = origin.kind === "file" ? `"${spec.flag}" in ${name}` : name;
    if (parsed.warning !== undefined) notes.warnings.push(`${place}: ${parsed.warning}`);
    if ("value" in parsed && parsed.value !== undefined) return { value: parsed.value, origin };
    if ("problem" in parsed) {
      const shown = spec.secret ? "a secret" : `"${text}"`;
      notes.problems.push(`${place} ${parsed.problem}: current value is ${shown}`);
      break;
    }
  }
  const parsed = parseStrict(spec, spec.default);
  return { value: "value" in parsed ? parsed.value : "", origin: { kind: "default" } };
}

/** Texts by flag name; numbers, booleans and lists count as what users would type. */
function readFile(
  file: { readonly path: string; readonly text: string },
  notes: { readonly warnings: string[]; readonly problems: string[] },
): Readonly<Record<string, string>> {
  const parsed = parseFile(file, notes.problems);
  const texts: Record<string, string> = {};
  for (const [key, value] of Object.entries(parsed)) {
    const isPlain = Array.isArray(value) || ["string", "number", "boolean"].includes(typeof value);
    const meant = FILE_KEYS.includes(key) ? key : keyMeant(key);
    if (meant === undefined) {
      const nearest = findNearest(key, FILE_KEYS);
      const hint = nearest === undefined ? "" : `; did you mean "${nearest}"?`;
      notes.problems.push(`${file.path} has no option "${key}"${hint}`);
    } else if (meant !== key && (meant in parsed || meant in texts)) {
      notes.problems.push(`"${key}" in ${file.path} is "${meant}", which is there, too`);
    } else if (isPlain) {
      texts[meant] = String(value).trim();
      if (meant === key) continue;
      notes.warnings.push(
        `"${key}" in ${file.path} is "${meant}": odist config --migrate writes it so`,
      );
    } else {
      notes.problems.push(`"${key}" in ${file.path} must be a text, number, boolean or list`);
    }
  }
  return texts;
}

function parseFile(
  file: { readonly path: string; readonly text: string },
  problems: string[],
): Readonly<Record<string, unknown>> {
  try {
    const parsed = JSON.parse(file.text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
    problems.push(`${file.path} must be a JSON object of options`);
  } catch (error) {
    problems.push(`${file.path} must be JSON: ${errorMessage(error)}`);
  }
  return {};
}

function resolveFolders(values: Map<OptionName, OptionValue>, home: string): void {
  const absolute = (path: string) =>
    resolve(path === "~" || /^~[/\\]/.test(path) ? join(home, path.slice(1)) : path);
  const dataFolder = absolute(String(values.get("dataFolder")));
  values.set("dataFolder", dataFolder);
  const models = String(values.get("modelsFolder"));
  values.set("modelsFolder", absolute(models.replace(/^\{data\}/, () => dataFolder)));
}

function findBrokenRelations(values: OptionValues): readonly string[] {
  return RELATIONS.filter((relation) => !relation.holds(values)).map(({ options, rule }) => {
    const [left, right] = options.map((name) => ({
      flag: flagOf(OPTIONS[name]),
      text: formatValue(OPTIONS[name], values[name]),
    }));
    const than = right?.text ? ` (${right.text})` : "";
    return `${left?.flag} ${rule}${than}: current value is ${left?.text}`;
  });
}

function freezeSlices(values: OptionValues): Config {
  const slices: Record<string, Record<string, OptionValue>> = {};
  for (const [name, spec] of OPTION_ROWS) {
    (slices[spec.slice] ??= {})[name] = values[name];
  }
  for (const slice of Object.values(slices)) Object.freeze(slice);
  return Object.freeze(slices) as unknown as Config;
}

/** Without the spaces and quotes Ollama also drops; undefined when nothing is left. */
function trimmed(text: string | undefined): string | undefined {
  const inner = text?.trim().replace(/^["']+|["']+$/g, "").trim();
  return inner === "" ? undefined : inner;
}
