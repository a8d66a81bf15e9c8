import { readSync } from "node:fs";
import { constrainedMemory } from "node:process";
import type { ControlGroup } from "./system.ts";

/** A number of bytes and a line's end. */
const NUMBER_CHARS_MAX = 32;
const STDIN = 0;

/**
 * Deno opens files below `/sys` for processes with all permissions only. So whoever starts a process with fewer (`launcher.sh`,
 * `holdWritesTo`) leaves the file with the use as its standard input, which is otherwise empty or a terminal.
 */
export function openControlGroup(): ControlGroup {
  const limit = Deno.build.os === "linux" ? constrainedMemory() : 0;
  return {
    limitBytes: limit > 0 ? limit : undefined,
    useBytes() {
      const bytes = new Uint8Array(NUMBER_CHARS_MAX);
      try {
        // From its beginning, as it is now; a terminal or a pipe has none, and is not read.
        const count = readSync(STDIN, bytes, 0, bytes.length, 0);
        const text = new TextDecoder().decode(bytes.subarray(0, count));
        return /^\d+\n$/.test(text) ? Number(text) : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
