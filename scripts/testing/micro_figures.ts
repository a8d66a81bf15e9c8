/**
 * Figures of micro benches and how they are compared.
 *
 * @module
 */

/** Shortest time of each bench, divided by that of the reference. */
export type MicroFigures = Readonly<Record<string, number>>;

/** A bench that takes more than this many times its stored figure has become slower. */
export const REGRESSION_MAX = 1.2;

const REFERENCE = "reference";

/** What `deno bench --json` prints, as far as it is read. */
interface BenchReport {
  readonly benches: readonly {
    readonly name: string;
    readonly results: readonly { readonly ok?: { readonly min: number } }[];
  }[];
}

/** @throws TypeError when a bench failed, or the reference is missing. */
export function figuresOf(report: BenchReport): MicroFigures {
  const times = new Map(report.benches.map(({ name, results }) => {
    const min = results[0]?.ok?.min;
    if (min === undefined) throw new TypeError(`Bench "${name}" failed`);
    return [name, min];
  }));
  const reference = times.get(REFERENCE);
  if (reference === undefined) throw new TypeError(`There is no bench "${REFERENCE}"`);
  times.delete(REFERENCE);
  return Object.fromEntries([...times].map(([name, min]) => [name, min / reference]));
}

/** One line for each bench that became slower, is new, or is gone. */
export function compareFigures(figures: MicroFigures, baseline: MicroFigures): string[] {
  const names = [...new Set([...Object.keys(figures), ...Object.keys(baseline)])];
  return names.flatMap((name) => {
    const [now, stored] = [figures[name], baseline[name]];
    if (now === undefined) return [`${name}: has a stored figure, but is no bench`];
    if (stored === undefined) return [`${name}: has no stored figure; run with --update`];
    if (now <= stored * REGRESSION_MAX) return [];
    return [
      `${name}: ${(now / stored).toFixed(2)} times the stored figure, at most ${REGRESSION_MAX}`,
    ];
  });
}
