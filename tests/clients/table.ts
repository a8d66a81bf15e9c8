import type { Client } from "./clients.ts";

/** The columns of the table: what a call is of. */
export const KINDS = [
  "lists",
  "show",
  "chat",
  "stream",
  "tools",
  "schema",
  "embed",
  "errors",
  "more",
] as const;

/** One call of a program, as it prints it. */
export interface CallResult {
  readonly call: string;
  readonly kind: typeof KINDS[number];
  readonly ok: boolean;
  readonly detail?: string;
}

/** What came of a client: its calls, or why it was not run. */
export type Outcome = { readonly skipped: string } | { readonly calls: readonly CallResult[] };

/** Clients down, kinds of calls across: how many were made, and how many of them failed. */
export function tableOf(outcomes: ReadonlyMap<Client, Outcome>): string {
  const rows = [...outcomes].map(([{ name }, outcome]) => [
    name,
    ...("skipped" in outcome
      ? [`skipped: ${outcome.skipped}`]
      : KINDS.map((kind) => cell(outcome.calls.filter((call) => call.kind === kind)))),
  ]);
  const lines = [["client", ...KINDS], ...rows];
  const widths = ["client", ...KINDS].map((_, column) =>
    Math.max(...lines.filter((line) => line.length > 2).map((line) => line[column]?.length ?? 0))
  );
  return lines.map((line) =>
    line.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ").trimEnd()
  ).join("\n");
}

function cell(calls: readonly CallResult[]): string {
  if (calls.length === 0) return "-";
  const failed = calls.filter(({ ok }) => !ok).length;
  return failed === 0 ? `${calls.length} ok` : `${failed}/${calls.length} FAILED`;
}

/** Call by call. */
export function callsOf(client: Client, outcome: Outcome): string {
  const versions = Object.entries(client.packages).map(([name, version]) => `${name} ${version}`);
  const lines = [`\n${client.name}: ${versions.join(", ")}`];
  if ("skipped" in outcome) return [...lines, `  skipped    ${outcome.skipped}`].join("\n");
  for (const { call, kind, ok, detail } of outcome.calls) {
    lines.push(`  ${ok ? "ok    " : "FAILED"}  ${kind.padEnd(6)}  ${call}`);
    if (!ok) lines.push(`          ${detail?.trim().replaceAll("\n", "\n          ")}`);
  }
  return lines.join("\n");
}
