import { findNearest } from "../../base/mod.ts";
import { MODEL_OPTIONS } from "../../models/modelfile/mod.ts";

/** The value as the API takes it, or what is wrong with it. */
export function parseParameter(
  key: string,
  texts: readonly string[],
): { readonly value: unknown } | { readonly problem: string } {
  const type = Object.hasOwn(MODEL_OPTIONS, key) ? MODEL_OPTIONS[key] : undefined;
  if (type === undefined) {
    const nearest = findNearest(key, Object.keys(MODEL_OPTIONS));
    const hint = nearest === undefined ? "" : `, did you mean '${nearest}'?`;
    return { problem: `Couldn't set parameter: unknown parameter '${key}'${hint}` };
  }
  if (type === "array") return { value: texts.map((text) => text.replace(/^"(.*)"$/, "$1")) };
  const text = texts[0] ?? "";
  if (type === "boolean") {
    if (text === "true" || text === "false") return { value: text === "true" };
    return { problem: `Couldn't set parameter: '${key}' must be true or false, not '${text}'` };
  }
  const value = text === "" ? NaN : Number(text);
  const isRight = type === "integer" ? Number.isInteger(value) : Number.isFinite(value);
  if (isRight && texts.length === 1) return { value };
  const wanted = type === "integer" ? "a whole number" : "a number";
  return {
    problem: `Couldn't set parameter: '${key}' must be ${wanted}, not '${texts.join(" ")}'`,
  };
}
