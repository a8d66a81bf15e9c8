import { invalidRequest } from "../../base/mod.ts";
import type { ClusterAdmin, NodeReport, RequestRow } from "../../ports/mod.ts";
import type { HttpParts } from "../exchange.ts";
import { type Route, routesFor } from "../routes.ts";
import type { RunningRequests } from "../running_requests.ts";
import { ownTransfers } from "./transfers.ts";
import { jsonAnswer, utcTime } from "../wire/mod.ts";

/** Lines of one node: as many as it keeps. */
const LINES_MAX = 2_000;
const LINES_DEFAULT = 100;
/** Whoever may ask this may know of every request. */
const ANYONE = { asker: "", isAdmin: true } as const;

type Line = Readonly<Record<string, unknown>>;

/** `GET /api/cluster/logs/all` and `/api/cluster/trace/:id`: what all nodes that answer have to tell, in order of time. */
export function reportRoutes(parts: HttpParts, running: RunningRequests): readonly Route[] {
  const { admin, elsewhere } = parts;
  if (admin === undefined) return [];
  const own = async (report: NodeReport): Promise<readonly Line[]> => {
    if (report.about === "transfers") return ownTransfers(parts).map((row) => ({ ...row }));
    const lines = await lastLines(admin, report.about === "logs" ? report.lines : LINES_MAX);
    const told = report.about === "logs" ? lines : [
      ...running.rows(ANYONE).filter(({ id }) => id === report.id).flatMap(requestEvents),
      ...slotEvents(admin, report.id),
      ...lines.filter((line) => line["requestId"] === report.id || line["traceId"] === report.id),
    ];
    return told.map((line) => ({ ...line, node: parts.config.nodeName }));
  };
  elsewhere?.attend({ report: own });
  const everywhere = async (report: Exclude<NodeReport, { readonly about: "transfers" }>) => {
    const others = await elsewhere?.report(report) ?? [];
    const lines = [...await own(report), ...others.flat()].sort(byTime);
    return jsonAnswer({ lines: report.about === "logs" ? lines.slice(-report.lines) : lines });
  };
  return routesFor("admin", {
    "GET /api/cluster/logs/all": (exchange) => {
      const text = exchange.query("lines") ?? String(LINES_DEFAULT);
      const lines = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
      if (lines <= LINES_MAX) return everywhere({ about: "logs", lines });
      throw invalidRequest(`lines must be 0 to ${LINES_MAX}: current value is "${text}"`);
    },
    "GET /api/cluster/trace/:id": ({ params }) =>
      everywhere({ about: "trace", id: params["id"] ?? "" }),
  });
}

async function lastLines(admin: ClusterAdmin, lines: number): Promise<readonly Line[]> {
  return await Array.fromAsync(admin.logs({ lines, follow: false }, new AbortController().signal));
}

/** That it came, and what became of it. */
function requestEvents(row: RequestRow): readonly Line[] {
  const { path, model, state, status, tokens, firstTokenMs, durationMs } = row;
  const came = { time: utcTime(row.atMs), level: "info", event: "request_came", path, model };
  if (state === "running") return [came];
  const figures = { status, tokens, firstTokenMs, durationMs: Math.round(durationMs) };
  const time = utcTime(row.atMs + durationMs);
  return [came, { ...came, time, event: `request_${state}`, ...figures }];
}

/** Where a slot was looked for, and what this node lent. */
function slotEvents(admin: ClusterAdmin, id: string): readonly Line[] {
  const routes = admin.explain(id).map((route) => ({
    ...{ time: utcTime(route.atMs), level: "info", event: "slot_sought", model: route.model },
    ...{ at: route.chosen?.name, standing: route.standing, outcome: route.outcome },
    expectedMs: route.chosen?.expectedMs,
  }));
  const lent = admin.served(id).flatMap(({ grantedAtMs, endedAtMs, loadMs, ...asked }) => {
    const { askedBy, model, standing } = asked;
    const head = { level: "info", askedBy, model, standing };
    return [
      { ...head, time: utcTime(asked.atMs), event: "slot_asked" },
      ...grantedAtMs === undefined
        ? []
        : [{ ...head, time: utcTime(grantedAtMs), event: "slot_lent", loadMs }],
      ...endedAtMs === undefined ? [] : [{ ...head, time: utcTime(endedAtMs), event: "slot_back" }],
    ];
  });
  return [...routes, ...lent];
}

/** By text: all nodes write it alike. */
function byTime(one: Line, other: Line): number {
  const [a, b] = [String(one["time"]), String(other["time"])];
  return a < b ? -1 : a > b ? 1 : 0;
}
