import { join } from "node:path";
import { RequestError } from "../base/mod.ts";
import { findSecrets } from "./secret_file.ts";
import { type ConfigSources, loadConfig, type LoadedConfig } from "./load_config.ts";
import { migrateFile } from "./spellings.ts";

/** The file in the data folder that is read when no other is named. */
const FILE_NAME = "config.json";

/**
 * Finds the configuration file and loads everything. `path` (`--config`) or ODIST_CONFIG must exist; the file in the
 * data folder need not. Secrets may be in files of their own.
 *
 * @throws RequestError `invalid_config` for bad values and for a named file that can't be read.
 */
export function readConfig(
  given: Pick<ConfigSources, "flags" | "env"> & { readonly path?: string },
): LoadedConfig {
  const { path, presence } = configFileOf(given);
  const text = readText(path, presence);
  const sources = { ...given, ...(text === undefined ? {} : { file: { path, text } }) };
  const loaded = loadConfig(sources);
  const { texts: secrets, warnings } = findSecrets(loaded, given.env);
  const whole = Object.keys(secrets).length === 0 ? loaded : loadConfig({ ...sources, secrets });
  return { ...whole, warnings: [...whole.warnings, ...warnings] };
}

/**
 * Writes the configuration file in today's names, where it is in others; the old one stays beside it as `config.json.old`. What it
 * came to is checked first, as at a start.
 *
 * @throws RequestError as {@link readConfig}.
 */
export function migrateConfigFile(
  given: Pick<ConfigSources, "flags" | "env"> & { readonly path?: string },
): { readonly path: string; readonly changes: readonly string[] } {
  readConfig(given);
  const { path, presence } = configFileOf(given);
  const text = readText(path, presence);
  if (text === undefined) return { path, changes: [] };
  const migrated = migrateFile(text);
  if (migrated.changes.length === 0) return { path, changes: [] };
  // It may hold a secret: the new one is for the same eyes.
  const mode = Deno.statSync(path).mode ?? 0o600;
  const unfinished = `${path}.${crypto.randomUUID()}`;
  Deno.writeTextFileSync(unfinished, migrated.text, { createNew: true, mode: mode & 0o777 });
  Deno.copyFileSync(path, `${path}.old`);
  Deno.renameSync(unfinished, path);
  return { path, changes: migrated.changes };
}

/** Where the file is, or would be. */
function configFileOf(
  given: Pick<ConfigSources, "flags" | "env"> & { readonly path?: string },
): { readonly path: string; readonly presence: "required" | "optional" } {
  const named = given.path ?? given.env.ODIST_CONFIG;
  if (named) return { path: named, presence: "required" };
  // Only flags and environment can say where the data folder is when its own file isn't read yet.
  const { dataFolder } = loadConfig(dataFolderOf(given)).config.storage;
  return { path: join(dataFolder, FILE_NAME), presence: "optional" };
}

/** The sources with nothing in them but where the data folder is, so that no other mistake is reported twice. */
function dataFolderOf(given: Pick<ConfigSources, "flags" | "env">): ConfigSources {
  const { dataFolder } = given.flags;
  const wanted = ["ODIST_DATA", "HOME", "USERPROFILE"];
  return {
    flags: dataFolder === undefined ? {} : { dataFolder },
    env: Object.fromEntries(Object.entries(given.env).filter(([name]) => wanted.includes(name))),
  };
}

function readText(path: string, presence: "required" | "optional"): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (presence === "optional" && error instanceof Deno.errors.NotFound) return undefined;
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : String(error);
    throw new RequestError("invalid_config", `Cannot read the configuration ${path}: ${reason}`, {
      cause: error,
    });
  }
}
