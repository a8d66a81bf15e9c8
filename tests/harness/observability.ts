/**
 * The files of `deploy/observability/`, read as Prometheus and Grafana read them.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

/** Where they lie. */
export const OBSERVABILITY_FOLDER = fileURLToPath(
  new URL("../../deploy/observability", import.meta.url),
);

/** One alert of `alerts.yml`. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}

/** One case of `alerts_test.yml`. */
interface AlertCase {
  readonly alert_rule_test: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly unknown[];
  }[];
}

export interface RulesFile {
  readonly groups: { readonly name: string; readonly rules: AlertRule[] }[];
}

/** A file of the folder, decoded. */
export async function readYaml<T>(name: string): Promise<T> {
  return parse(await Deno.readTextFile(join(OBSERVABILITY_FOLDER, name))) as T;
}

/** All alerts. */
export async function alertRules(): Promise<readonly AlertRule[]> {
  const { groups } = await readYaml<RulesFile>("alerts.yml");
  return groups.flatMap(({ rules }) => rules);
}

/** Per alert, how many cases say that it fires, and how many that it does not. */
export async function casesByAlert(): Promise<Map<string, { fires: number; silent: number }>> {
  const { tests } = await readYaml<{ readonly tests: readonly AlertCase[] }>("alerts_test.yml");
  const counts = new Map<string, { fires: number; silent: number }>();
  for (const { alertname, exp_alerts } of tests.flatMap((it) => it.alert_rule_test)) {
    const count = counts.get(alertname) ?? { fires: 0, silent: 0 };
    count[exp_alerts.length > 0 ? "fires" : "silent"]++;
    counts.set(alertname, count);
  }
  return counts;
}

/** Whether a program of Prometheus can be run here; Debian has them in its package `prometheus`. */
export async function hasProgram(name: "promtool" | "prometheus"): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(name, { args: ["--version"] }).output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs promtool in `folder`. */
export async function promtool(
  args: readonly string[],
  folder: string,
): Promise<{ readonly isFine: boolean; readonly printed: string }> {
  const command = new Deno.Command("promtool", { args: [...args], cwd: folder });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { isFine: success, printed: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** One query of a panel. */
export interface PanelQuery {
  readonly panel: string;
  /** With the dashboard's variables in it. */
  readonly expr: string;
}

interface DashboardFile {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

/** Every query of the dashboard. */
export async function dashboardQueries(): Promise<readonly PanelQuery[]> {
  const text = await Deno.readTextFile(join(OBSERVABILITY_FOLDER, "dashboard.json"));
  const { panels } = JSON.parse(text) as DashboardFile;
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ panel: title, expr }))
  );
}

/** What Grafana sends to Prometheus for `expr` when all nodes of the cluster are shown. */
export function filledIn(expr: string): string {
  return expr.replaceAll("$__rate_interval", "1m").replaceAll("$job", "odist")
    .replaceAll("$instance", ".+");
}
