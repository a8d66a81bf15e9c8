/**
 * Which requests for answers run and ran lately, on all nodes: so that people see what a cluster does, and find the id by
 * which a request is explained or ended.
 *
 * @module
 */
import { BoundedMap } from "../../base/mod.ts";
import type { HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import type { RequestAsker, RequestRow } from "../../ports/mod.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import { reportRoutes } from "./reports.ts";
import type { RunningRequests } from "../running_requests.ts";
import { transferRoutes } from "./transfers.ts";
import { jsonAnswer, utcTime, wireFields } from "../wire/mod.ts";

/** Requests that are told at most: those that run first, then the newest. */
const ROWS_MAX = 500;
/** What the other nodes said is told again for so long: pages ask once a second, each. */
const FRESH_MS = 900;
/** Askers that it is kept for. */
const ASKERS_MAX = 64;
/** Requests that are over, whose way is known for good. */
const ENDED_MAX = 512;

/** What the other nodes said to one asker. */
interface Heard {
  readonly atMs: number;
  readonly rows: Promise<readonly RequestRow[]>;
}

/** `GET /api/cluster/requests`: who asks is told of its own requests; with the scope `admin`, of all. */
export function requestsFamily(parts: HttpParts, running: RunningRequests): ApiFamily {
  const ended = new BoundedMap<string, RequestRow>(ENDED_MAX);
  const routed = (row: RequestRow) => {
    if (row.state === "running") return withRoutes(parts, row);
    const key = `${row.id} ${row.atMs}`;
    const known = ended.get(key) ?? withRoutes(parts, row);
    ended.set(key, known);
    return known;
  };
  const own = (by: RequestAsker) => running.rows(by).map(routed);
  parts.elsewhere?.attend({ listRequests: own });
  const heard = new BoundedMap<string, Heard>(ASKERS_MAX);
  const elsewhere = (by: RequestAsker) => {
    const key = `${by.isAdmin} ${by.asker}`;
    const nowMs = parts.clock.monotonicMs();
    const known = heard.get(key);
    if (known !== undefined && nowMs - known.atMs < FRESH_MS) return known.rows;
    const rows = parts.elsewhere?.listRequests(by) ?? Promise.resolve([]);
    heard.set(key, { atMs: nowMs, rows });
    return rows;
  };
  return {
    name: "cluster",
    failureAnswer: nativeFailureAnswer,
    routes: [
      ...reportRoutes(parts, running),
      ...transferRoutes(parts),
      ...routesFor("use", {
        "GET /api/cluster/requests": async (exchange) => {
          const others = await elsewhere(exchange.askerAnywhere);
          const rows = [...own(exchange), ...others].sort(runningFirst).slice(0, ROWS_MAX);
          return jsonAnswer({ requests: rows.map(rowShape) });
        },
      }),
    ],
  };
}

/**
 * Where it is computed now is what its last route says: an answer that lost its node looks for another one, and has none until
 * it is granted there.
 */
function withRoutes({ admin, config }: HttpParts, row: RequestRow): RequestRow {
  const routes = admin?.explain(row.id) ?? [];
  const held = routes.filter(({ outcome }) => outcome === "granted");
  const isLooking = row.state === "running" && routes.at(-1)?.outcome === "pending";
  const node = isLooking ? undefined : held.at(-1)?.chosen?.name;
  return {
    ...row,
    entry: config.nodeName,
    ...(node === undefined ? {} : { node }),
    moves: Math.max(0, held.length - (isLooking ? 0 : 1)),
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
    ...(row.queued === undefined ? {} : { queued: wireFields(row.queued, ["position", "etaMs"]) }),
  };
}
