/** The alerts of `deploy/observability/` fire when they should and not otherwise, by Prometheus's own tool. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "yaml";
import {
  alertRules,
  casesByAlert,
  dashboardQueries,
  hasProgram,
  OBSERVABILITY_FOLDER,
  promtool,
  readYaml,
  type RulesFile,
} from "../harness/observability.ts";
import { unknownIn } from "../harness/promql.ts";

const ignore = !await hasProgram("promtool");
/** Shown with the name of a test that is skipped. */
const WHERE = ignore ? " (skipped: no promtool here; Debian has it in `prometheus`)" : "";

Deno.test("Every alert asks for metrics and labels that odist exports, and says what to do", async () => {
  for (const { alert, expr, annotations } of await alertRules()) {
    assert.deepEqual(unknownIn(expr), [], alert);
    assert.ok(annotations.summary !== "" && annotations.action !== "", alert);
  }
});

Deno.test("Every query of the dashboard asks for metrics and labels that odist exports", async () => {
  const queries = await dashboardQueries();
  assert.ok(queries.length > 30);
  for (const { panel, expr } of queries) assert.deepEqual(unknownIn(expr), [], panel);
});

Deno.test("A metric or label that odist does not export is told from those that it does", () => {
  assert.deepEqual(unknownIn('sum by (job) (odist_raft_voters{state="up"}) > 1'), []);
  assert.deepEqual(unknownIn("odist_raft_electors"), ["there is no metric odist_raft_electors"]);
  assert.deepEqual(unknownIn('odist_raft_voters{side="up"}'), [
    "odist_raft_voters has no label side",
  ]);
  assert.deepEqual(unknownIn("sum by (side) (odist_raft_voters)"), [
    "nothing in the query has a label side",
  ]);
  assert.deepEqual(unknownIn("rate(odist_model_load_seconds[5m])").length, 1);
  assert.deepEqual(unknownIn("sum by (le) (rate(odist_model_load_seconds_bucket[5m]))"), []);
});

Deno.test("Every alert has a case in which it fires and one in which it does not", async () => {
  const counts = await casesByAlert();
  const names = (await alertRules()).map(({ alert }) => alert);
  assert.deepEqual([...counts.keys()].sort(), names.sort());
  for (const [alert, { fires, silent }] of counts) assert.ok(fires > 0 && silent > 0, alert);
});

Deno.test({
  name: `promtool finds configuration and rules right, and all their cases as they say${WHERE}`,
  ignore,
  async fn() {
    for (
      const args of [["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]]
    ) {
      const { isFine, printed } = await promtool(args, OBSERVABILITY_FOLDER);
      assert.ok(isFine, printed);
    }
  },
});

Deno.test({
  name: `Cases notice each alert that never fires, or always${WHERE}`,
  ignore,
  async fn() {
    const file = await readYaml<RulesFile>("alerts.yml");
    const folder = await Deno.makeTempDir({ prefix: "odist-alerts-" });
    try {
      const cases = "alerts_test.yml";
      await Deno.copyFile(join(OBSERVABILITY_FOLDER, cases), join(folder, cases));
      for (const expr of ["vector(1) > 2", "vector(1)"]) {
        const groups = file.groups.map((group) => ({
          ...group,
          rules: group.rules.map((rule) => ({ ...rule, expr })),
        }));
        await Deno.writeTextFile(join(folder, "alerts.yml"), stringify({ groups }));
        const { isFine, printed } = await promtool(["test", "rules", cases], folder);
        assert.equal(isFine, false);
        const noticed = new Set(
          [...printed.matchAll(/alertname: ?(\w+)/g)].map(([, name]) => name),
        );
        assert.deepEqual(
          [...noticed].sort(),
          (await alertRules()).map(({ alert }) => alert).sort(),
          `${expr}: ${printed}`,
        );
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
