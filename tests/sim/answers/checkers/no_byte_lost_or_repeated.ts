import type { AnswerToken } from "../../../../src/protocol/mod.ts";
import type { ShownText } from "../script.ts";
import type { Report } from "./mod.ts";

/** At any moment a reader has a beginning of what an undisturbed answer shows, and in the end all of it. */
export class NoByteLostOrRepeated {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** A reader was shown more. */
  shown(name: string, shown: ShownText, expected: ShownText): void {
    for (const kind of ["thinking", "content"] as const) {
      if (expected[kind].startsWith(shown[kind])) continue;
      this.#fail(`${name} shows ${kind} "${shown[kind]}" of "${expected[kind]}"`);
    }
  }

  /** An answer is whole. */
  ended(name: string, shown: ShownText, expected: ShownText): void {
    for (const kind of ["thinking", "content"] as const) {
      if (expected[kind] === shown[kind]) continue;
      this.#fail(`${name} ends with ${kind} "${shown[kind]}" of "${expected[kind]}"`);
    }
  }

  /** A run goes on behind `emitted`, which its model must have written. */
  resumed(script: readonly AnswerToken[], emitted: readonly number[]): void {
    const isOfScript = emitted.length <= script.length &&
      emitted.every((token, position) => script[position]?.token === token);
    if (!isOfScript) this.#fail(`a run goes on behind [${emitted}], which nobody wrote`);
  }

  embedded(name: string, value: number, expected: number): void {
    if (value !== expected) this.#fail(`${name} got vector ${value} instead of ${expected}`);
  }

  #fail(what: string): void {
    this.#report("no_byte_lost_or_repeated", what);
  }
}
