import { join } from "node:path";
import { errorMessage, RequestError } from "../base/mod.ts";
import type { LoadedConfig } from "./load_config.ts";
import { OPTIONS } from "./schema.ts";

/** Characters of a secret's file; more is no secret. */
const SECRET_CHARACTERS_MAX = 4_096;
/** Others may read it. */
const READABLE_BITS = 0o044;

/** A secret and the option that names a file with it. */
const SECRETS = [
  { secret: "joinToken", file: "joinTokenFile" },
  { secret: "apiKey", file: "apiKeyFile" },
] as const;
type SecretName = (typeof SECRETS)[number]["secret"];

/** Secrets that came from files, and what is odd about where secrets are. */
export interface FoundSecrets {
  readonly texts: Readonly<
    Partial<Record<SecretName, { readonly path: string; readonly text: string }>>
  >;
  readonly warnings: readonly string[];
}

/**
 * Reads the secrets that `loaded` does not hold from the files that it names, or from what systemd hands a service
 * (`$CREDENTIALS_DIRECTORY/odist-token`, `odist-key`).
 *
 * @throws RequestError `invalid_config` for a named file that can't be read or holds no secret.
 */
export function findSecrets(
  loaded: LoadedConfig,
  env: Readonly<Record<string, string>>,
): FoundSecrets {
  const texts: Partial<Record<SecretName, { readonly path: string; readonly text: string }>> = {};
  const warnings: string[] = [];
  for (const { secret, file } of SECRETS) {
    const { flag } = OPTIONS[secret];
    const named = secret === "joinToken"
      ? loaded.config.cluster.joinTokenFile
      : loaded.config.cli.apiKeyFile;
    const origin = loaded.origins[secret];
    if (origin.kind !== "default") {
      if (named !== "") {
        warnings.push(`--${OPTIONS[file].flag} is not read: ${origin.name} gives the ${flag}`);
      }
      if (origin.kind === "file") warnings.push(...warnIfReadable(origin.name, flag));
      continue;
    }
    const folder = env.CREDENTIALS_DIRECTORY;
    const path = named !== "" || folder === undefined ? named : join(folder, `odist-${flag}`);
    const text = path === "" ? undefined : readSecret(path, named !== "");
    if (text === undefined) continue;
    texts[secret] = { path, text };
    warnings.push(...warnIfReadable(path, flag));
  }
  return { texts, warnings };
}

function readSecret(path: string, isRequired: boolean): string | undefined {
  try {
    const text = Deno.readTextFileSync(path).trim();
    if (text !== "" && text.length <= SECRET_CHARACTERS_MAX) return text;
  } catch (error) {
    if (!isRequired && error instanceof Deno.errors.NotFound) return undefined;
    throw new RequestError("invalid_config", `Cannot read ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  throw new RequestError("invalid_config", `${path} holds no secret: it is empty or too long`);
}

/** A mode is not known everywhere. */
function warnIfReadable(path: string, flag: string): readonly string[] {
  let mode: number | null = null;
  try {
    mode = Deno.statSync(path).mode;
  } catch {
    return []; // It was read a moment ago; whoever took it away since has nothing to be warned of.
  }
  if (mode === null || (mode & READABLE_BITS) === 0) return [];
  const shown = (mode & 0o777).toString(8);
  return [`${path} holds a ${flag} and can be read by others (mode ${shown}): chmod 600 it`];
}
