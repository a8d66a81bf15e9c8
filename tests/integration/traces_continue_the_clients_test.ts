/** With Deno's own OpenTelemetry turned on, what a client asks shows up in its trace. */
import assert from "node:assert/strict";
import { TestCluster } from "../harness/cluster.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const SHOWN_TIMEOUT_MS = 30_000;

interface Span {
  readonly traceId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly { readonly key: string; readonly value: unknown }[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

Deno.test("a node sends a span for a request to an OTLP collector, below the client's own", async () => {
  const spans: Span[] = [];
  await using collector = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const body = await request.json();
      if (new URL(request.url).pathname === "/v1/traces") spans.push(...spansOf(body));
      return Response.json({});
    },
  );
  await using cluster = await TestCluster.start(1, {
    environment: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_BSP_SCHEDULE_DELAY: "100",
    },
  });
  const traceparent = `00-${TRACE}-${PARENT}-01`;
  const answer = await cluster.client("n1").fetch("/api/version", { headers: { traceparent } });
  await answer.body?.cancel();
  const ours = await cluster.until(
    "the span arrives",
    () => Promise.resolve(spans.find(({ traceId }) => traceId === TRACE)),
    SHOWN_TIMEOUT_MS,
  );
  assert.equal(ours.parentSpanId, PARENT);
  assert.match(JSON.stringify(ours.attributes), /\/api\/version/);
});

function spansOf({ resourceSpans }: Export): readonly Span[] {
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}
