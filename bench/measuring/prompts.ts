/**
 * Prompts that share no prefix, so that no server can answer one from another's cache.
 *
 * @module
 */
import { Random } from "../../src/base/mod.ts";

const SUBJECTS =
  "a lighthouse|two brothers|the harbour|an old clock|my neighbour|the last train|a violin|winter"
    .split("|");
const VERBS = "remembers|carries|repairs|follows|forgets|paints|measures|hides".split("|");
const OBJECTS =
  "the river|a letter|every stone|the north wind|a small boat|nobody's garden|the map|seven keys"
    .split("|");

/** One prompt of about `words` words; the number opens it, so that no two begin alike. */
export function promptOf(number: number, words: number): string {
  const random = new Random(number);
  let text = `${number}. Continue this story.`;
  for (let count = 4; count < words; count += 5) {
    text += ` ${random.pick(SUBJECTS)} ${random.pick(VERBS)} ${random.pick(OBJECTS)}.`;
  }
  return text;
}
