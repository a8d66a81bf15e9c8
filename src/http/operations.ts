import type { HttpParts } from "./exchange.ts";
import { nativeFailureAnswer } from "./ollama.ts";
import type { ApiFamily, Route } from "./routes.ts";
import { jsonAnswer } from "./wire/mod.ts";

/** What operators and load balancers ask: liveness, readiness with reasons, and metrics for Prometheus. */
export function operationsFamily(parts: HttpParts, admitting: () => boolean): ApiFamily {
  return {
    name: "operations",
    failureAnswer: nativeFailureAnswer,
    routes: [
      {
        methods: ["GET", "HEAD"],
        path: "/health",
        handle: () => jsonAnswer({ status: "ok" }),
      },
      {
        methods: ["GET", "HEAD"],
        path: "/ready",
        handle: () => {
          const { ready, reasons } = parts.client.readiness();
          const open = admitting();
          const shown = open || reasons.includes("stopping") ? reasons : ["stopping", ...reasons];
          return jsonAnswer({ ready: ready && open, reasons: shown }, ready && open ? 200 : 503);
        },
      },
      ...(parts.config.metrics ? [metricsRoute(parts)] : []),
    ],
  };
}

function metricsRoute(parts: HttpParts): Route {
  return {
    methods: ["GET"],
    path: "/metrics",
    handle: async () => {
      const { contentType, text } = await parts.metrics.render();
      return new Response(text, { headers: { "content-type": contentType } });
    },
  };
}
