/** What `deploy/observability/` asks for is there: a real Prometheus scrapes a cluster of real nodes. */
import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import {
  alertRules,
  dashboardQueries,
  filledIn,
  hasProgram,
  type PanelQuery,
} from "../harness/observability.ts";
import { TestPrometheus } from "../harness/prometheus.ts";
import { selectorsOf } from "../harness/promql.ts";

const ignore = !await hasProgram("prometheus");
const WHERE = ignore ? " (skipped: no prometheus here; Debian has it)" : "";
/** Rates need several scrapes, and the nodes share their cores with other tests. */
const SHOWN_TIMEOUT_MS = 90_000;

Deno.test({
  name:
    `Every panel shows data of a live cluster, every alert has what it asks for, and none is up until a node is killed${WHERE}`,
  ignore,
  async fn() {
    await using cluster = await TestCluster.start(3);
    const targets = cluster.names.map((name) => cluster.client(name).origin.replace("http://", ""));
    await using prometheus = await TestPrometheus.start(targets);
    await cluster.until("all nodes are scraped", async () => {
      const up = await prometheus.query('up{job="odist"} == 1 and on (instance) odist_build');
      return up?.length === 3;
    }, SHOWN_TIMEOUT_MS);

    const panels = (await dashboardQueries()).map((it) => ({ ...it, expr: filledIn(it.expr) }));
    let missing: readonly PanelQuery[] = [...panels, ...await alertSelectors()];
    const request = { model: "tiny", prompt: "one two three four", options: { num_predict: 4 } };
    await cluster.until("every query has data", async () => {
      for (const name of cluster.names) await cluster.client(name).lines("/api/generate", request);
      missing = await withoutData(prometheus, missing);
      return missing.length === 0;
    }, SHOWN_TIMEOUT_MS).catch((error) =>
      assert.fail(`No data for ${JSON.stringify(missing, undefined, 1)}\n${error}`)
    );
    const firing = (await prometheus.alerts()).filter(({ state }) => state === "firing");
    assert.deepEqual(firing, []);
    const cached = await prometheus.query("sum(odist_prompt_tokens_cached_total) > 0");
    assert.equal(cached?.length, 1, "the same prompt was asked for again and again");

    await cluster.kill("n3");
    await cluster.until(
      "the killed node and the vote that is left to spare are noticed",
      async () => {
        const seen = (await prometheus.alerts()).map(({ labels }) => labels);
        return seen.some((it) => it.alertname === "OdistQuorumAtRisk") &&
          seen.some((it) => it.alertname === "OdistNodeDown" && it.instance === targets[2]);
      },
      SHOWN_TIMEOUT_MS,
    );
  },
});

/** What alerts compare, as it stands in their expressions: most give nothing as a whole while all is well. */
async function alertSelectors(): Promise<readonly PanelQuery[]> {
  return (await alertRules()).flatMap(({ alert, expr }) =>
    selectorsOf(expr).map(({ text }) => ({ panel: alert, expr: text }))
  );
}

/** Those that give no series, or one without a number in it. */
async function withoutData(
  prometheus: TestPrometheus,
  queries: readonly PanelQuery[],
): Promise<readonly PanelQuery[]> {
  const missing: PanelQuery[] = [];
  for (const query of queries) {
    const samples = await prometheus.query(query.expr) ?? [];
    if (!samples.some(({ value }) => Number.isFinite(value))) missing.push(query);
  }
  return missing;
}
