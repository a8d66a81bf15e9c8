/**
 * Templates: texts with `@NAME@` where a value belongs.
 *
 * @module
 */

/** The values of a template by name. */
export type Values = Readonly<Record<string, string>>;

const PLACE = /@([A-Z][A-Z_]*)@/g;

/** The text with each place filled; throws TypeError for a place that has no value. */
export function fill(template: string, values: Values): string {
  return template.replace(PLACE, (_, name: string) => {
    const value = values[name];
    if (value === undefined) {
      throw new TypeError(`Cannot fill template: wanted a value for ${name}`);
    }
    return value;
  });
}

/** A template of this folder, by its path from `templates/`. */
export function readTemplate(path: string): string {
  return Deno.readTextFileSync(new URL(`./templates/${path}`, import.meta.url))
    .replaceAll("\r\n", "\n");
}
