import { type JsonObject, objectsOf, textOf } from "./json.ts";

/** Characters of a digest that tell models apart for people. */
const ID_CHARS = 12;

/** The models of a list whose names begin with `prefix`; names compare without case, as everywhere. */
export function modelsNamed(answer: JsonObject, prefix: string | undefined): readonly JsonObject[] {
  const wanted = (prefix ?? "").toLowerCase();
  return objectsOf(answer, "models")
    .filter((model) => (textOf(model, "name") ?? "").toLowerCase().startsWith(wanted));
}

/** The ID column of a model. */
export function shortId(model: JsonObject): string {
  return (textOf(model, "digest") ?? "").slice(0, ID_CHARS);
}

/**
 * Whether a shell takes the name, a model's or a node's, as one word that means itself: it comes from another machine, and
 * shells expand what they are given to complete.
 */
export function isPlainName(name: string): boolean {
  return /^\w[\w.:/@+-]*$/.test(name);
}
