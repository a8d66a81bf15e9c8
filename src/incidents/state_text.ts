import { parse, stringify } from "devalue";
import type { StateKeeper } from "../base/mod.ts";

/** A part's state as text. @throws when a field of it is no plain data. */
export function writeState(keep: (keeper: StateKeeper) => void): string {
  const kept: unknown[] = [];
  keep({
    restores: false,
    keep(present) {
      kept.push(present);
      return present;
    },
  });
  return stringify(kept);
}

/** Puts back what {@link writeState} wrote. @throws when that was the state of another kind of part. */
export function readState(text: string, keep: (keeper: StateKeeper) => void): void {
  const kept: unknown = parse(text);
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
