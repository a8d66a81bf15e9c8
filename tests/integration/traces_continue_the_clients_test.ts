/** With Deno's own OpenTelemetry turned on, what a client asks shows up in its trace, on whichever nodes it is worked on. */
import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";
import { streamedLines } from "../harness/json_lines.ts";
import { attributeOf, type CollectedSpan, TraceCollector } from "../harness/trace_collector.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const TRACEPARENT = `00-${TRACE}-${PARENT}-01`;
const SHOWN_TIMEOUT_MS = 30_000;
const REQUEST_ID = "moved-1";

Deno.test("a node sends a span for a request to an OTLP collector, below the client's own", async () => {
  await using collector = new TraceCollector();
  await using cluster = await TestCluster.start(1, { environment: collector.environment });
  const answer = await cluster.client("n1").fetch("/api/version", {
    headers: { traceparent: TRACEPARENT },
  });
  await answer.body?.cancel();
  const ours = await cluster.until(
    "the span arrives",
    () => Promise.resolve(collector.trace(TRACE)[0]),
    SHOWN_TIMEOUT_MS,
  );
  assert.equal(ours.parentSpanId, PARENT);
  assert.match(JSON.stringify(ours.attributes), /\/api\/version/);
});

Deno.test("the trace of an answer that moved is one tree, with the node that was killed and the one that went on", async () => {
  await using collector = new TraceCollector();
  await using cluster = await TestCluster.start(3, { environment: collector.environment });
  // What comes in at n1 is computed by n2 or n3.
  await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
  await cluster.until("both others hold the model", async () => {
    const { headers } = await cluster.client("n1").request("POST", "/api/generate", {
      body: { model: "tiny", prompt: "" },
    });
    const path = `/api/cluster/explain/${headers.get("x-request-id")}`;
    const { routes } = await cluster.client("n1").ask("GET", path);
    const [route] = routes as { chosen: unknown; runners_up: unknown[] }[];
    return route !== undefined && route.runners_up.length > 0;
  });
  const { killed, lines } = await readWithKill(cluster, collector);
  assert.equal(lines.at(-1)?.["done"], true, JSON.stringify(lines.at(-1)));

  const spans = await cluster.until(
    "the whole trace arrives",
    () => Promise.resolve(nameIn(collector.trace(TRACE), "odist.answer") && rooted(collector)),
    SHOWN_TIMEOUT_MS,
  );
  const nodesOf = (name: string) =>
    spans.filter((span) => span.name === name).map((span) => attributeOf(span, "odist.node"));
  const [other] = ["n2", "n3"].filter((name) => name !== killed);
  assert.deepEqual(nodesOf("odist.lease"), [killed, other]);
  assert.deepEqual(nodesOf("odist.run"), [killed, other]);
  assert.deepEqual(nodesOf("odist.serve"), [killed, other], "each node tells of its own slot");
  assert.deepEqual(nodesOf("odist.prefill"), [killed, other]);
  assert.deepEqual(nodesOf("odist.decode"), [other], "the killed one could not tell of its end");
  const [answer] = spans.filter(({ name }) => name === "odist.answer");
  assert.equal(answer && attributeOf(answer, "odist.request_id"), REQUEST_ID);
  assert.deepEqual(answer?.events?.map(({ name }) => name), ["failover"]);

  const timeline = await timelineOf(cluster, other ?? "");
  const wanted = [
    "n1 request_came",
    "n1 answer_lost_its_runner",
    `${other} slot_lent`,
    "n1 request_answered",
  ];
  assert.deepEqual(timeline.filter((line) => wanted.includes(line)), wanted, timeline.join("\n"));

  // The lines of the log have both ids.
  const logs = await cluster.client("n1").fetch("/api/cluster/logs?lines=2000");
  const lost = (await logs.text()).split("\n").filter((line) =>
    line.includes('"answer_lost_its_runner"')
  );
  assert.equal(lost.length, 1);
  assert.match(lost[0] ?? "", new RegExp(`"requestId":"${REQUEST_ID}","traceId":"${TRACE}"`));
});

/** What any node that is left can tell of the request. */
async function timelineOf(cluster: TestCluster, node: string): Promise<readonly string[]> {
  const { lines } = await cluster.client(node).ask("GET", `/api/cluster/trace/${REQUEST_ID}`);
  return (lines as { node: string; event: string }[]).map((it) => `${it.node} ${it.event}`);
}

/** Kills the node that computes as soon as the collector knows that it has begun. */
async function readWithKill(cluster: TestCluster, collector: TraceCollector) {
  const response = await cluster.client("n1").fetch("/api/generate", {
    method: "POST",
    headers: { traceparent: TRACEPARENT, "x-request-id": REQUEST_ID },
    body: JSON.stringify({
      model: "tiny",
      prompt: "Tell me a story about a fox.",
      options: { temperature: 0 },
    }),
  });
  assert.equal(response.status, 200);
  const killed = response.headers.get("x-odist-node") ?? "";
  const lines: Record<string, unknown>[] = [];
  for await (const line of streamedLines(response)) {
    if (lines.push(line) !== 1) continue;
    await cluster.until(
      "the serving node has told of the prompt",
      () => Promise.resolve(nameIn(collector.trace(TRACE), "odist.prefill")),
      SHOWN_TIMEOUT_MS,
    );
    await cluster.kill(killed);
  }
  return { killed, lines };
}

function nameIn(spans: readonly CollectedSpan[], name: string): CollectedSpan | undefined {
  return spans.find((span) => span.name === name);
}

/** The trace in the order it came, once all of it hangs together below the client's span; else undefined. */
function rooted(collector: TraceCollector): readonly CollectedSpan[] | undefined {
  const spans = collector.trace(TRACE);
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const root = nameIn(spans, "odist.request");
  const isWhole = spans.every(({ parentSpanId = "" }) =>
    parentSpanId === PARENT || ids.has(parentSpanId)
  );
  return isWhole && root?.parentSpanId === PARENT ? spans : undefined;
}
