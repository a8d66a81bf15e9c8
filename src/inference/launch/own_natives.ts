import { UnavailableError } from "../../base/mod.ts";
import { nativePackage } from "./native_folder.ts";

/**
 * Says of a folder of libraries that odist built itself which files belong there: `{"<name>": "<SHA-256>"}`. Whoever can
 * write it can write this program, too; it tells a library that was damaged or put there later.
 */
export const OWN_NATIVES_LIST = "natives.json";

/** Below a folder with this program's sources: where `deno task natives` puts what it builds. */
export function ownNativesCache(sources: string): string {
  return `${sources}/.cache/natives/${nativePackage()}`;
}

/**
 * Where the libraries lie that no package has: `ODIST_OWN_NATIVE_DIR`, or what `deno task natives` built.
 *
 * @returns "" where there are none: what needs them says so.
 */
export function findOwnNativeFolder(): string {
  const sources = `${import.meta.dirname}/../../..`;
  const folder = Deno.env.get("ODIST_OWN_NATIVE_DIR") || ownNativesCache(sources);
  try {
    // Without links: landlock judges where a file lies.
    return Deno.realPathSync(folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/**
 * The SHA-256 of each library by its name, as the folder's own list says.
 *
 * @throws UnavailableError `load_failed` when there is no such list.
 */
export function ownNativeDigests(folder: string): ReadonlyMap<string, string> {
  const path = `${folder}/${OWN_NATIVES_LIST}`;
  try {
    const list: Readonly<Record<string, unknown>> = JSON.parse(Deno.readTextFileSync(path));
    return new Map(Object.entries(list).map(([name, digest]) => [name, String(digest)]));
  } catch (cause) {
    const advice = "build them anew with `deno task natives`";
    throw new UnavailableError("load_failed", `Cannot read ${path}: ${advice}`, { cause });
  }
}
