/**
 * The table in docs/ARCHITECTURE.md of what a way passes: its first column names the way, the third says what is measured now
 * and the fifth how many generators a token passes. The columns between are of an older commit, measured in the same way.
 *
 * @module
 */

/** What one way passes. */
export interface WayFigures {
  readonly files: number;
  readonly folders: number;
  /** Undefined for a way that has no tokens. */
  readonly tokenGenerators: number | undefined;
}

/** Files by which the page may be off: what runs by itself is told apart by how often it runs. */
const FILES_OFF_MAX = 4;
const FOLDERS_OFF_MAX = 2;
const CELLS = 5;

/** The page with the figures of the ways in their rows. @throws Error for a way without a row. */
export function withFigures(page: string, ways: ReadonlyMap<string, WayFigures>): string {
  let text = page;
  for (const [way, figures] of ways) {
    const { line, cells } = rowOf(text, way);
    const [name = "", before = "", , generatorsBefore = ""] = cells;
    const now = [`${figures.files}, ${figures.folders}`, String(figures.tokenGenerators ?? "–")];
    const row = [name, before, now[0], generatorsBefore, now[1]];
    text = text.replace(line, `| ${row.join(" | ")} |`);
  }
  return text;
}

/** What of the page is not true any more, a line each. */
export function staleFigures(page: string, ways: ReadonlyMap<string, WayFigures>): string[] {
  return [...ways].flatMap(([way, { files, folders, tokenGenerators }]) => {
    const { cells: [, , now = "", , generators = ""] } = rowOf(page, way);
    const [saidFiles = NaN, saidFolders = NaN] = now.split(",").map(Number);
    const isNear = Math.abs(saidFiles - files) <= FILES_OFF_MAX &&
      Math.abs(saidFolders - folders) <= FOLDERS_OFF_MAX;
    const isSame = generators === String(tokenGenerators ?? "–");
    if (isNear && isSame) return [];
    const measured = `${files}, ${folders} and ${tokenGenerators ?? "–"}`;
    return [`"${way}": the page says ${now} and ${generators}, measured are ${measured}`];
  });
}

function rowOf(page: string, way: string): { readonly line: string; readonly cells: string[] } {
  for (const line of page.split("\n")) {
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    if (cells.length === CELLS && cells[0] === way) return { line, cells };
  }
  throw new Error(`docs/ARCHITECTURE.md has no row for "${way}"`);
}
