/**
 * Which requests for answers run and ran lately, on all nodes: so that people see what a cluster does, and find the id by
 * which a request is explained or ended.
 *
 * @module
 */
import type { HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import type { RequestAsker, RequestRow } from "../../ports/mod.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import type { RunningRequests } from "../running_requests.ts";
import { jsonAnswer, utcTime, wireFields } from "../wire/mod.ts";

/** Requests that are told at most: those that run first, then the newest. */
const ROWS_MAX = 500;

/** `GET /api/cluster/requests`: who asks is told of its own requests; with the scope `admin`, of all. */
export function requestsFamily(parts: HttpParts, running: RunningRequests): ApiFamily {
  const own = (by: RequestAsker) => running.rows(by).map((row) => withRoutes(parts, row));
  parts.elsewhere?.attend({ listRequests: own });
  return {
    name: "cluster",
    failureAnswer: nativeFailureAnswer,
    routes: routesFor("use", {
      "GET /api/cluster/requests": async (exchange) => {
        const elsewhere = await parts.elsewhere?.listRequests(exchange.askerAnywhere) ?? [];
        const rows = [...own(exchange), ...elsewhere].sort(runningFirst).slice(0, ROWS_MAX);
        return jsonAnswer({ requests: rows.map(rowShape) });
      },
    }),
  };
}

/** Where it is computed now is what its last route says: an answer that lost its node goes on with another. */
function withRoutes({ admin, config }: HttpParts, row: RequestRow): RequestRow {
  const routes = admin?.explain(row.id) ?? [];
  const held = routes.filter(({ outcome }) => outcome === "granted");
  const node = held.at(-1)?.chosen?.name;
  return {
    ...row,
    entry: config.nodeName,
    ...(node === undefined ? {} : { node }),
    moves: Math.max(0, held.length - 1),
  };
}

function runningFirst(one: RequestRow, other: RequestRow): number {
  const runs = (row: RequestRow) => Number(row.state === "running");
  return runs(other) - runs(one) || other.atMs - one.atMs;
}

function rowShape(row: RequestRow): object {
  return {
    ...wireFields(row, ["id", "path", "model", "state", "status", "entry", "node", "moves"]),
    at: utcTime(row.atMs),
    ...wireFields(row, ["promptTokens", "tokens", "firstTokenMs", "durationMs"]),
  };
}
