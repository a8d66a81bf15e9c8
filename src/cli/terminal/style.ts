/** The few ways in which commands set text apart. */
export interface Style {
  bold(text: string): string;
  grey(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
}

const CODES = { bold: [1, 22], grey: [90, 39], green: [32, 39], yellow: [33, 39], red: [31, 39] };

/** Escape sequences, or the bare text. */
export function styleFor(look: "colours" | "plain"): Style {
  const wrap = ([on, off]: number[]) => (text: string) =>
    look === "plain" || text === "" ? text : `\x1b[${on}m${text}\x1b[${off}m`;
  return {
    bold: wrap(CODES.bold),
    grey: wrap(CODES.grey),
    green: wrap(CODES.green),
    yellow: wrap(CODES.yellow),
    red: wrap(CODES.red),
  };
}
