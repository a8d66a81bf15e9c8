import type { ModelName } from "./model_name.ts";

const PARTS = ["host", "namespace", "model", "tag"] as const;

/**
 * A name in the spelling of what is known, part by part from the host on: names compare without case, and two spellings
 * of one namespace would look like two. Parts below which nothing is known stay as they are.
 */
export function knownSpelling(name: ModelName, known: readonly ModelName[]): ModelName {
  const spelled: Record<(typeof PARTS)[number], string> = { ...name };
  let below = known;
  for (const part of PARTS) {
    const wanted = name[part].toLowerCase();
    below = below.filter((other) => other[part].toLowerCase() === wanted);
    const isThere = below.some((other) => other[part] === name[part]);
    if (!isThere) spelled[part] = below[0]?.[part] ?? name[part];
  }
  return spelled;
}
