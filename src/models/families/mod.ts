/**
 * What is known of families of models: how to recognise one, how its prompts look, how its answers are to be read. All of it
 * is data; start with `family.ts`, then look at one row in `chatml_families.ts`.
 *
 * @module
 */
export type { CallIds, Family } from "./family.ts";
export {
  familyById,
  familyByName,
  familyOfArchitecture,
  familyOfTemplate,
  unknownNames,
} from "./table.ts";
