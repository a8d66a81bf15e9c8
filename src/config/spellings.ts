import { type OptionSpec, variableOf } from "./option_spec.ts";
import { formatByteCount, parseStrict } from "./parse_option.ts";
import { OPTIONS } from "./schema.ts";

const SPECS: readonly OptionSpec[] = Object.values(OPTIONS);

/** The flags that a configuration file's keys are: today's names. */
export const FILE_KEYS: readonly string[] = SPECS.map(({ flag }) => flag);

/**
 * The option that a file's key means without being its flag: with the dashes of the command line, underscores, capitals, or as the
 * variable of odist or Ollama; undefined where it means none.
 */
export function keyMeant(key: string): string | undefined {
  const plain = key.replace(/^--/, "").replace(/([a-z\d])([A-Z])/g, "$1-$2")
    .replaceAll("_", "-").toLowerCase();
  const spec = SPECS.find((one) =>
    one.flag === plain || variableOf(one) === key.toUpperCase() ||
    // Where the words of Ollama's variable are others, its value would be another, too.
    (one.alias?.variable === key.toUpperCase() && one.alias.words === undefined)
  );
  return spec?.flag;
}

/** A configuration file in today's names and values; what it says is otherwise the same. */
export interface MigratedFile {
  readonly text: string;
  /** Such as `keep_alive is keep-alive now`; none where the file is as it should be. */
  readonly changes: readonly string[];
}

/** Renames keys and writes what values count as; the text must have been read as a configuration before. */
export function migrateFile(text: string): MigratedFile {
  const changes: string[] = [];
  const entries = Object.entries(JSON.parse(text)).map(([key, value]) => {
    const meant = FILE_KEYS.includes(key) ? key : keyMeant(key) ?? key;
    if (meant !== key) changes.push(`${key} is ${meant} now`);
    const counted = valueMeant(meant, value);
    if (counted !== value) changes.push(`${meant} is ${String(counted)} now, and was ${value}`);
    return [meant, counted] as const;
  });
  return { text: `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`, changes };
}

/** Of what earlier releases took and this one does not; anything else as it is. */
function valueMeant(flag: string, value: unknown): unknown {
  const spec = SPECS.find((one) => one.flag === flag);
  if (spec?.kind !== "bytes" || spec.formerly === undefined) return value;
  const parsed = parseStrict(spec, String(value).trim());
  const isOther = "value" in parsed && parsed.warning !== undefined;
  return isOther ? formatByteCount(Number(parsed.value)) : value;
}
