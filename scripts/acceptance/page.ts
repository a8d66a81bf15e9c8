/**
 * The page of all scenarios with their tests and what came of them last. The page is its own memory: a row that a run did not
 * reach keeps what it says.
 *
 * @module
 */
import type { Figure } from "../../tests/harness/figures.ts";
import type { TestResult } from "../testing/junit.ts";
import { namePattern, type Scenario } from "./scenarios.ts";

/** What a run says of a scenario. */
export interface Verdict {
  readonly result: "passed" | "failed" | "skipped";
  /** What was measured, or how long the test took. */
  readonly figure: string;
  /** Day of the run and what the machine did besides, as `2026-01-31, load 1 on 2 cores`. */
  readonly day: string;
}

/** One run's results. */
export interface Run {
  readonly day: string;
  readonly results: readonly TestResult[];
  readonly figures: readonly Figure[];
}

const HEAD = `# Acceptance: what odist has to show, and the test that shows it

Made by \`deno task acceptance -- --write\`, which runs every test named here on real processes; a row that no run has reached
says "not run". Figures are those of the machine named below: on another one they are others. The long ones are not part of
\`deno task test\`, which checks that each scenario has its test.
`;

/** What the run says of each scenario that it reached, by {@link keyOf}. */
export function judge(scenarios: readonly Scenario[], run: Run): ReadonlyMap<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  for (const scenario of scenarios) {
    const pattern = namePattern(scenario);
    // Tests of several ways are one scenario: the worst of them counts.
    const its = run.results.filter(({ name }) => pattern.test(name));
    if (its.length === 0) continue;
    const outcomes = its.map(({ outcome }) => outcome);
    const result = (["failed", "skipped", "passed"] as const)
      .find((outcome) => outcomes.includes(outcome)) ?? "passed";
    const seconds = its.reduce((sum, its) => sum + its.seconds, 0);
    const told = run.figures.findLast(({ test }) => pattern.test(test))?.figure;
    const ways = its.length === 1 ? "" : `${its.length} ways, `;
    verdicts.set(keyOf(scenario), {
      result,
      figure: told ?? `${ways}${seconds.toFixed(1)} s`,
      day: run.day,
    });
  }
  return verdicts;
}

export function keyOf({ group, name }: Pick<Scenario, "group" | "name">): string {
  return `${group}: ${name}`;
}

/** The page with these verdicts, and for other scenarios those of `before`, an earlier page. */
export function renderPage(
  scenarios: readonly Scenario[],
  given: {
    readonly verdicts: ReadonlyMap<string, Verdict>;
    readonly before: string;
    readonly conditions: readonly string[];
  },
): string {
  const kept = readVerdicts(given.before);
  const sections = [...Map.groupBy(scenarios, ({ group }) => group)].map(([group, rows]) => {
    const cells = rows.map((scenario) => {
      const [fresh, old] = [given.verdicts, kept].map((them) => them.get(keyOf(scenario)));
      // Left out by a filter, or for want of something here, takes nothing from what it was.
      const verdict = fresh?.result === "skipped" ? old ?? fresh : fresh ?? old;
      const { result, figure, day } = verdict ?? { result: "not run", figure: "", day: "" };
      const test = `[${escapeCell(scenario.test)}](../${scenario.file})`;
      return [escapeCell(scenario.name), test, result, escapeCell(figure), day];
    });
    return [`## ${group}`, "", ...table(["Scenario", "Test", "Last", "Figure", "When"], cells), ""];
  });
  const conditions = given.conditions.length > 0
    ? given.conditions.map((line) => `- ${line}`)
    : given.before.split("\n").filter((line) => line.startsWith("- "));
  const lines = [HEAD, ...conditions, ...conditions.length > 0 ? [""] : [], ...sections.flat()];
  return lines.join("\n").trimEnd() + "\n";
}

/** What an earlier page says, by {@link keyOf}. */
export function readVerdicts(page: string): ReadonlyMap<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  let group = "";
  for (const line of page.split("\n")) {
    group = /^## (.*)$/.exec(line)?.[1] ?? group;
    const [, name, , result, figure, day] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (result !== "passed" && result !== "failed" && result !== "skipped") continue;
    verdicts.set(keyOf({ group, name: plain(name) }), {
      result,
      figure: plain(figure),
      day: day ?? "",
    });
  }
  return verdicts;
}

/** Rows as the formatter aligns them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)];
}

function escapeCell(text: string): string {
  return text.replaceAll(/[|*_$<\[\]]/g, "\\$&").replaceAll("\n", " ");
}

function plain(cell = ""): string {
  return cell.replaceAll(/\\([|*_$<\[\]])/g, "$1");
}
