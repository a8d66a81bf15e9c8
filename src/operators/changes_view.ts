import type { ChangesStanding } from "../core/voting/mod.ts";
import type { ChangesView } from "../ports/mod.ts";

/** Whether the cluster takes changes, as clients are told. */
export function changesView(standing: ChangesStanding): ChangesView {
  if (standing.kind === "possible") return { possible: true };
  const { reason, sinceMs } = standing;
  return { possible: false, reason, ...(sinceMs === undefined ? {} : { sinceMs }) };
}
