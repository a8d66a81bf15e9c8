/**
 * What queries and rules for Prometheus ask for: as much of PromQL as our own files use.
 *
 * @module
 */
import { METRIC_TABLE, type MetricRow } from "../../src/telemetry/metric_table.ts";

/** Labels that Prometheus adds to what it scrapes, and the one of a histogram's buckets. */
const ADDED_LABELS = ["job", "instance"];

/** One metric as a query names it. */
export interface Selector {
  readonly name: string;
  /** Names of labels in its braces. */
  readonly labels: readonly string[];
  /** As it stands in the query. */
  readonly text: string;
}

/** Every selector of our metrics in `query`. */
export function selectorsOf(query: string): readonly Selector[] {
  const found = query.matchAll(/\b(odist_\w+)(?:\{([^}]*)\})?/g);
  return [...found].map(([text, name = "", braces = ""]) => ({
    text,
    name,
    labels: [...braces.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
  }));
}

/** Labels that `query` groups or matches by. */
function groupedLabels(query: string): readonly string[] {
  return [...query.matchAll(/\b(?:by|without|on|ignoring) ?\(([^)]*)\)/g)]
    .flatMap(([, list = ""]) => list.split(","))
    .map((label) => label.trim())
    .filter((label) => label !== "");
}

/** What `query` asks for and odist does not export, in words; empty = nothing. */
export function unknownIn(query: string): readonly string[] {
  const selectors = selectorsOf(query);
  const known = new Set(ADDED_LABELS);
  const missing = selectors.flatMap(({ name, labels }) => {
    const row = rowOf(name);
    if (row === undefined) return [`there is no metric ${name}`];
    const own = [...row.labels, ...row.kind === "histogram" ? ["le"] : []];
    for (const label of own) known.add(label);
    return labels.filter((label) => ![...ADDED_LABELS, ...own].includes(label))
      .map((label) => `${name} has no label ${label}`);
  });
  const strange = groupedLabels(query).filter((label) => !known.has(label));
  return [...missing, ...strange.map((label) => `nothing in the query has a label ${label}`)];
}

/** A histogram is asked for by its series. */
function rowOf(name: string): MetricRow | undefined {
  const histogram = METRIC_TABLE[name.replace(/_(?:bucket|sum|count)$/, "")];
  if (histogram?.kind === "histogram" && METRIC_TABLE[name] === undefined) return histogram;
  const row = METRIC_TABLE[name];
  return row?.kind === "histogram" ? undefined : row;
}
