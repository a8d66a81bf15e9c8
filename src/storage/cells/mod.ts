/**
 * Cells of computed prefixes, in files. Start with `cell_files.ts`.
 *
 * @module
 */
export { openCellFiles } from "./cell_files.ts";
