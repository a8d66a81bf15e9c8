/**
 * Writing to a terminal: styles, widths, progress, tables. It never reads a command line. Start reading in `terminal.ts`.
 *
 * @module
 */
export { type CommandWords, NAME_KINDS, renderCompletions, SHELLS } from "./completion_scripts.ts";
export { renderModel } from "./model_view.ts";
export { printJson } from "./print.ts";
export { type ProgressLine, ProgressView } from "./progress_view.ts";
export { Spinner } from "./spinner.ts";
export type { Style } from "./style.ts";
export { openTerminal, type Terminal } from "./terminal.ts";
export { WordWrap } from "./word_wrap.ts";
export { showTransfer } from "./transfer.ts";
