import { assert } from "../../base/mod.ts";
import { partialMatchLength } from "../tool_calls/mod.ts";

/** What may be shown, and the stop string that ended the text, if any. */
export interface StopResult {
  readonly text: string;
  readonly hit: string | undefined;
}

/**
 * Ends a text before the first stop string in it. Whatever may become a stop string is held back, so nothing that was
 * shown must ever be taken back. The string that is complete first wins; of several complete at once, the longest: so the
 * result doesn't depend on where chunks end.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";
  #isHit = false;

  /** Empty strings are ignored, because they would end every answer at once. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** After a hit the caller must not push again. */
  push(text: string): StopResult {
    assert(!this.#isHit, "Nothing comes after a stop string");
    const buffer = this.#held + text;
    const hit = this.#firstHit(buffer);
    if (hit !== undefined) {
      this.#isHit = true;
      this.#held = "";
      return { text: buffer.slice(0, hit.start), hit: hit.stop };
    }
    let heldLength = 0;
    for (const stop of this.#stops) {
      heldLength = Math.max(heldLength, partialMatchLength(buffer, stop));
    }
    this.#held = buffer.slice(buffer.length - heldLength);
    return { text: buffer.slice(0, buffer.length - heldLength), hit: undefined };
  }

  /** Releases what was held back, because nothing can complete it any more. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #firstHit(buffer: string): { stop: string; start: number } | undefined {
    let first: { stop: string; start: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const start = buffer.indexOf(stop);
      if (start === -1) continue;
      const end = start + stop.length;
      if (first === undefined || end < first.end || (end === first.end && start < first.start)) {
        first = { stop, start, end };
      }
    }
    return first;
  }
}

/**
 * Turns bytes into text and holds back a UTF-8 sequence that isn't complete yet: one character may be spread over several
 * tokens. Bytes that can't be UTF-8 become U+FFFD as the WHATWG decoder has it. A byte order mark is kept as text.
 */
export class Utf8Tail {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** Whole characters only; "" while a character is incomplete. */
  push(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** What is left at the end: "" or U+FFFD for a sequence that never got complete. */
  flush(): string {
    return this.#decoder.decode();
  }
}

/** Repeats in a row of one trimmed chunk that are still allowed (contract 1.4). */
export const REPEATED_CHUNKS_MAX = 30;

/** Notices a model that is stuck: more than {@link REPEATED_CHUNKS_MAX} repeats in a row of the same trimmed token text. */
export class RepeatGuard {
  #last = "";
  #repeats = 0;

  /** `text` is what one token added, "" when it only began a character. True = abort the answer. */
  push(text: string): boolean {
    if (text === "") return false;
    const trimmed = text.trim();
    this.#repeats = trimmed === this.#last ? this.#repeats + 1 : 0;
    this.#last = trimmed;
    return this.#repeats > REPEATED_CHUNKS_MAX;
  }
}
