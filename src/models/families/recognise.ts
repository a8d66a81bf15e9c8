import type { Family } from "./family.ts";
import { FAMILIES } from "./table.ts";

/** The family with an id. */
export function familyById(id: string | undefined): Family | undefined {
  return FAMILIES.find((family) => family.id === id);
}

/** The family that a RENDERER or PARSER line means; undefined when it names none that is known here. */
export function familyByName(name: string | undefined): Family | undefined {
  if (name === undefined) return undefined;
  const wanted = name.toLowerCase();
  return FAMILIES.find(({ id, names }) => id === wanted || names.includes(wanted));
}

/** The family whose language a template is in, by its marks. */
export function familyOfTemplate(template: string): Family | undefined {
  return FAMILIES.find(({ marks }) =>
    marks.some((texts) => texts.every((text) => template.includes(text)))
  );
}

/** The family of models that come without a template. */
export function familyOfArchitecture(architecture: string): Family | undefined {
  return FAMILIES.find(({ architectures }) => architectures.includes(architecture));
}
