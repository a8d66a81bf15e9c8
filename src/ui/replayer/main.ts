/**
 * Steps the program's own core through a saved incident: a script of its own that runs beside the page, as a file may take long,
 * and may be anybody's. It asks no node.
 *
 * @module
 */
import {
  differenceLines,
  isTelling,
  momentOf,
  readIncident,
  replayIncident,
  timelineText,
} from "../../incidents/replaying/mod.ts";
import type { IncidentRow, ReplayerMessage, ReplayWish } from "./messages.ts";

/** Rows said at once. */
const ROWS_PER_MESSAGE = 200;

function say(message: ReplayerMessage): void {
  postMessage(message);
}

async function replay({ bytes, known }: ReplayWish): Promise<void> {
  const { stretches, nodes, silent } = await readIncident(new Uint8Array(bytes));
  const named = [...nodes, ...known];
  say({
    kind: "begun",
    nodes: nodes.map(({ name }) => name),
    silent: silent.map(({ nodeId, reason }) => `${nodeId} told nothing: ${reason}`),
  });
  let rows: IncidentRow[] = [];
  let steps = 0;
  let difference: readonly string[] | undefined;
  for (const step of replayIncident(stretches)) {
    steps++;
    if (step.replayed !== undefined) difference = differenceLines(step, steps);
    if (difference === undefined && !isTelling(step)) continue;
    const { atMs, node } = step;
    rows.push({ atMs, node: node.name, ...timelineText(step), moment: momentOf(step, named) });
    if (rows.length < ROWS_PER_MESSAGE) continue;
    say({ kind: "rows", rows, steps });
    rows = [];
  }
  say({ kind: "rows", rows, steps });
  say({ kind: "ended", steps, ...(difference === undefined ? {} : { difference }) });
}

addEventListener("message", ({ data }: MessageEvent<ReplayWish>) => {
  replay(data).catch((error: unknown) =>
    say({ kind: "failed", reason: error instanceof Error ? error.message : String(error) })
  );
});
