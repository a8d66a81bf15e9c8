/**
 * The shell text at the head of a self-extracting `odist`, from the template `launcher.sh`. It unpacks the archive
 * behind it once per build into the user's cache; from then on it costs a few `stat` calls before the program starts.
 *
 * @module
 */

import { SERVING_FLAGS } from "../../src/confinement/mod.ts";
import { BOOT } from "./boot.ts";

/** What the launcher must know about the archive behind it. */
export interface LauncherFacts {
  readonly version: string;
  /** As Deno names it, e.g. `linux-x86_64`. */
  readonly platform: string;
  /** Names the folder in the cache; differs whenever a file differs. */
  readonly digest: string;
  /** Paths in the archive that the program needs to start. */
  readonly paths: readonly string[];
  /** Bytes of all files once unpacked. */
  readonly unpackedBytes: number;
}

/** Digits of the offset in the text, fixed so that the text's length doesn't depend on it. */
const OFFSET_DIGITS = 10;

/** The launcher; the archive must follow its last byte at once. Throws RangeError for a path that a shell would split. */
export function launcherText(template: string, facts: LauncherFacts): string {
  const unplain = facts.paths.find((path) => !/^[\w.@/+-]+$/.test(path));
  if (unplain !== undefined) {
    throw new RangeError(`Cannot pack "${unplain}": its path must hold plain characters only`);
  }
  const text = template.replaceAll("@VERSION@", facts.version)
    .replaceAll("@PLATFORM@", facts.platform)
    .replaceAll("@DIGEST@", facts.digest)
    .replaceAll("@FILES@", facts.paths.join(" "))
    .replaceAll("@MEBIBYTES@", String(Math.ceil(facts.unpackedBytes / 2 ** 20)))
    .replaceAll("@SERVING@", SERVING_FLAGS.join(" "))
    .replaceAll("@BOOT@", BOOT)
    .replaceAll("@OFFSET@", "0".repeat(OFFSET_DIGITS));
  // `tail -c +N` counts from 1.
  const offset = new TextEncoder().encode(text).length + 1;
  return text.replace("0".repeat(OFFSET_DIGITS), String(offset).padStart(OFFSET_DIGITS, "0"));
}
