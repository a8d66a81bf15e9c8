import { parse, stringify } from "devalue";
import type { StateKeeper } from "../../base/mod.ts";

/**
 * Of the log, how long commands are: its decisions depend on no more, and what they say may be a secret. Other parts read bytes.
 */
const LENGTHS = { Blank: (value: unknown) => value instanceof Uint8Array && [value.length] };
const BLANKS = { Blank: ([length]: [number]) => new Uint8Array(Math.min(length, BLANK_BYTES_MAX)) };
/** More than any command or snapshot has. */
const BLANK_BYTES_MAX = 64 * 1024 * 1024;

/** What a part was made with, told or had, as text. @throws when there is anything in it but plain data. */
export function writePlain(part: string, value: unknown): string {
  return stringify(value, part === "raft" ? LENGTHS : {});
}

/** What {@link writePlain} wrote. */
export function readPlain(part: string, text: string): unknown {
  return parse(text, part === "raft" ? BLANKS : {});
}

/** A part's state as text. @throws when a field of it is no plain data. */
export function writeState(part: string, keep: (keeper: StateKeeper) => void): string {
  const kept: unknown[] = [];
  keep({
    restores: false,
    keep(present) {
      kept.push(present);
      return present;
    },
  });
  return writePlain(part, kept);
}

/** Puts back what {@link writeState} wrote. @throws when that was the state of another kind of part. */
export function readState(
  part: string,
  text: string,
  keep: (keeper: StateKeeper) => void,
): void {
  const kept = readPlain(part, text);
  if (!Array.isArray(kept)) throw new TypeError("A state is a list of fields");
  let at = 0;
  keep({
    restores: true,
    keep<T>(_present: T): T {
      if (at >= kept.length) throw new TypeError(`A state ends after ${kept.length} fields`);
      return kept[at++] as T;
    },
  });
  if (at < kept.length) throw new TypeError(`A state has ${kept.length - at} fields too many`);
}
