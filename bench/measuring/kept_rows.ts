import { dirname } from "node:path";

/**
 * What benches measured that take longer than one run: lines of JSON, each with the commit of its sources. What belongs to another commit
 * is not read. JSON knows no NaN: what could not be measured is left out of a row, or null.
 */
export class KeptRows<Row extends object> {
  readonly #path: string;
  readonly #commit: string;

  constructor(path: string, commit: string) {
    this.#path = path;
    this.#commit = commit;
  }

  /** Of earlier runs of the same sources. A line that was cut off is none. */
  async read(): Promise<Row[]> {
    const text = await Deno.readTextFile(this.#path).catch(() => "");
    const kept = text.split("\n").filter((line) => line.endsWith("}"))
      .map((line): { readonly commit: string; readonly row: Row } => JSON.parse(line));
    return kept.filter(({ commit }) => commit === this.#commit).map(({ row }) => row);
  }

  async append(row: Row): Promise<void> {
    await Deno.mkdir(dirname(this.#path), { recursive: true });
    const line = JSON.stringify({ commit: this.#commit, row });
    await Deno.writeTextFile(this.#path, `\n${line}\n`, { append: true });
  }
}
