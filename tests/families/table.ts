/**
 * Prints what is known of families of models, and what chat templates take.
 *
 * Usage: `deno task families [FOLDER]`: every family × {plain, system, tools, thinking, strict ids}; with a folder of
 * `.jinja` files also which conversations each of them takes, and whether its prompt shows all of it.
 *
 * @module
 */
import { join } from "node:path";
import { FAMILIES } from "../../src/models/families/table.ts";
import { compileTemplate } from "../../src/models/template/mod.ts";
import { type Shape, SHAPES } from "./shapes.ts";
import { familyRow } from "./family_row.ts";

const DATE = new Date(2026, 2, 1);

function printFamilies(): void {
  const rows = FAMILIES.map(familyRow);
  const columns = Object.keys(rows[0]?.cells ?? {});
  console.log(["family".padEnd(18), ...columns].join("  "));
  for (const { id, cells } of rows) {
    const marks = columns.map((column) => (cells[column] ?? "").padEnd(column.length));
    console.log([id.padEnd(18), ...marks].join("  "));
  }
}

/** "ok", or what went wrong. */
function take(template: string, shape: Shape): string {
  try {
    const renderer = compileTemplate({ jinjaTemplate: template, bosText: "<s>", eosText: "</s>" });
    const needsTools = (shape.input.tools ?? []).length > 0;
    if (needsTools && !renderer.capabilities.tools) return "no tools";
    const { text } = renderer.render({ ...shape.input, date: DATE });
    const lost = shape.shows.filter((part) => !text.includes(part));
    return lost.length === 0 ? "ok" : `lost: ${lost.join(" | ")}`;
  } catch (error) {
    return `refused: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function printTemplates(folder: string): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
    .filter((name) => name.endsWith(".jinja")).sort();
  const failures: string[] = [];
  let whole = 0;
  let refused = 0;
  let deaf = 0;
  for (const name of names) {
    const template = await Deno.readTextFile(join(folder, name));
    const outcomes = SHAPES.map((shape) => ({ shape, outcome: take(template, shape) }));
    const bad = outcomes.filter(({ outcome }) => outcome !== "ok" && outcome !== "no tools");
    if (bad.length === 0) whole++;
    if (outcomes.some(({ outcome }) => outcome === "no tools")) deaf++;
    if (bad.some(({ outcome }) => outcome.startsWith("refused"))) refused++;
    for (const { shape, outcome } of bad) failures.push(`${name}: ${shape.name}: ${outcome}`);
  }
  console.log(
    `\n${names.length} templates, ${SHAPES.length} conversations: ${whole} take and show all, ` +
      `${refused} refuse one; ${deaf} know no tools`,
  );
  for (const line of failures) console.log(`  ${line}`);
}

printFamilies();
const [folder] = Deno.args;
if (folder !== undefined) await printTemplates(folder);
