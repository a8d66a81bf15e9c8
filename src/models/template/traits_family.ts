import { type Family, familyById } from "../families/mod.ts";
import type { TemplateTraits } from "./prompt_renderer.ts";

/** The family whose language answers are in; undefined when it is none that is known. */
export function traitsFamily(traits: Pick<TemplateTraits, "family">): Family | undefined {
  return familyById(traits.family);
}
