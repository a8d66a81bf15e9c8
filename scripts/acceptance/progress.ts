/**
 * A run of all scenarios that is made in pieces: what it has reached, what comes next, and how many runs before it were green
 * to the last row. Of other sources nothing counts.
 *
 * @module
 */
import { keyOf, type Verdict } from "./page.ts";
import { namePattern, type Scenario } from "./scenarios.ts";

/** What is kept between two pieces. */
export interface Progress {
  /** Of the sources that the rows were run on. */
  readonly sources: string;
  /** Runs in a row, those before this one, in which each row passed. */
  readonly greenRuns: number;
  /** Of this run, by `keyOf`. */
  readonly verdicts: Readonly<Record<string, Verdict>>;
  /** What this run has taken so far. */
  readonly seconds: number;
}

/** One test that shows one scenario or several. */
export type Piece = Pick<Scenario, "file" | "test">;

/** The kept progress, where it is of these sources, else that of a first run. */
export function takeUp(kept: Progress | undefined, sources: string): Progress {
  if (kept?.sources === sources) return kept;
  return { sources, greenRuns: 0, verdicts: {}, seconds: 0 };
}

/** Tests of the rows that the run has not reached, each once, in the table's order. */
export function piecesLeft(scenarios: readonly Scenario[], progress: Progress): readonly Piece[] {
  const left = scenarios.filter((scenario) => progress.verdicts[keyOf(scenario)] === undefined);
  const byTest = Map.groupBy(left, ({ file, test }) => `${file} ${test}`);
  return [...byTest.values()].flatMap(([first]) => first === undefined ? [] : [first]);
}

/** What chooses a piece's test among those of its file, for `deno test --filter`. */
export function filterOf(piece: Piece): string {
  return `/${namePattern(piece).source}/`;
}

/** The progress after a piece. A row of it on which its run said nothing has failed: the run broke off. */
export function noteRows(
  progress: Progress,
  ran: {
    readonly scenarios: readonly Scenario[];
    readonly piece: Piece;
    readonly verdicts: ReadonlyMap<string, Verdict>;
    readonly day: string;
    readonly seconds: number;
  },
): Progress {
  const { piece } = ran;
  const rows = ran.scenarios.filter(({ file, test }) => file === piece.file && test === piece.test);
  const broken: Verdict = { result: "failed", figure: "no result", day: ran.day };
  const verdicts = rows.map(keyOf).map((key) => [key, ran.verdicts.get(key) ?? broken]);
  return {
    ...progress,
    verdicts: { ...progress.verdicts, ...Object.fromEntries(verdicts) },
    seconds: progress.seconds + ran.seconds,
  };
}

/** The next run's progress, once this one has reached every row. What was skipped for want of something is not green. */
export function nextRun(progress: Progress): Progress {
  const isGreen = Object.values(progress.verdicts).every(({ result }) => result === "passed");
  const greenRuns = isGreen ? progress.greenRuns + 1 : 0;
  return { sources: progress.sources, greenRuns, verdicts: {}, seconds: 0 };
}
