import type { HttpParts } from "./exchange.ts";
import { nativeFailureAnswer } from "./ollama.ts";
import { type ApiFamily, type Route, routesFor } from "./routes.ts";
import { changesShape } from "./cluster.ts";
import { jsonAnswer } from "./wire/mod.ts";

/** What operators and load balancers ask: liveness, readiness with reasons, and metrics for Prometheus. */
export function operationsFamily(parts: HttpParts, admitting: () => boolean): ApiFamily {
  return {
    name: "operations",
    failureAnswer: nativeFailureAnswer,
    routes: [
      ...routesFor("open", {
        "GET /health": () => jsonAnswer({ status: "ok" }),
        "GET /ready": () => {
          const { ready: isReady, reasons: given, changes } = parts.client.readiness();
          const open = admitting();
          const ready = isReady && open;
          const reasons = open || given.includes("stopping") ? given : ["stopping", ...given];
          const known = changes && { answers: ready, changes: changesShape(changes) };
          return jsonAnswer({ ready, reasons, ...known }, ready ? 200 : 503);
        },
      }),
      ...(parts.config.metrics ? metricsRoutes(parts) : []),
    ],
  };
}

function metricsRoutes(parts: HttpParts): readonly Route[] {
  return routesFor("use", {
    "GET /metrics": async ({ request }) => {
      const accepted = request.headers.get("accept") ?? "";
      const format = accepted.includes("application/openmetrics-text")
        ? "openmetrics"
        : "prometheus";
      const { contentType, text } = await parts.metrics.render(format);
      return new Response(text, { headers: { "content-type": contentType, vary: "accept" } });
    },
  });
}
