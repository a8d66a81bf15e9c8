import { assert } from "../../base/mod.ts";
import type { Scope } from "../../protocol/mod.ts";

/** `open`: answered to everyone, as it says nothing but whether the node lives. */
export type RouteScope = Scope | "open";

/**
 * What each endpoint wants of its caller, whether it comes over HTTP or over the port between nodes. An endpoint without a
 * row can't be mounted. HEAD is as GET where it has no row of its own.
 */
export const ROUTE_SCOPES: Readonly<Record<string, RouteScope>> = {
  "GET /health": "open",
  "GET /ready": "open",
  "GET /metrics": "use",

  "GET /": "use",
  "GET /api/version": "use",
  "GET /api/status": "use",
  "GET /api/tags": "use",
  "GET /api/ps": "use",
  "POST /api/show": "use",
  "POST /api/generate": "use",
  "POST /api/chat": "use",
  "POST /api/embed": "use",
  "POST /api/embeddings": "use",
  "POST /api/create": "models",
  "POST /api/copy": "models",
  "DELETE /api/delete": "models",
  "POST /api/pull": "models",
  "POST /api/push": "models",
  "HEAD /api/blobs/:digest": "models",
  "POST /api/blobs/:digest": "models",

  "POST /v1/chat/completions": "use",
  "POST /v1/completions": "use",
  "POST /v1/embeddings": "use",
  "GET /v1/models": "use",
  "GET /v1/models/:model": "use",

  "GET /api/cluster/status": "use",
  "GET /api/cluster/members": "use",
  "GET /api/cluster/connections": "use",
  "GET /api/cluster/explain/:id": "use",
  "GET /api/cluster/feed": "use",
  "GET /api/cluster/webtransport": "use",
  "GET /api/cluster/snapshot": "admin",
  "GET /api/cluster/logs": "admin",
  "POST /api/cluster/members/:node/drain": "admin",
  "POST /api/cluster/members/:node/undrain": "admin",
  "POST /api/cluster/members/:node/revoke": "admin",
  "DELETE /api/cluster/members/:node": "admin",
  "POST /api/cluster/leave": "admin",
  "GET /api/cluster/tokens": "join",
  "POST /api/cluster/tokens": "join",
  "DELETE /api/cluster/tokens/:id": "join",
  "GET /api/cluster/keys": "admin",
  "POST /api/cluster/keys": "admin",
  "DELETE /api/cluster/keys/:id": "admin",
  "GET /api/cluster/audit": "admin",
  "GET /api/cluster/settings": "admin",
  "PUT /api/cluster/settings/:key": "admin",
  "DELETE /api/cluster/settings/:key": "admin",
};

/** @throws InvariantError for an endpoint without a row. */
export function scopeOf(method: string, path: string): RouteScope {
  const row = ROUTE_SCOPES[`${method} ${path}`] ??
    (method === "HEAD" ? ROUTE_SCOPES[`GET ${path}`] : undefined);
  assert(row !== undefined, "Each route needs a row in route_scopes.ts", { method, path });
  return row;
}
