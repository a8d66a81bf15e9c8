import { invalidRequest, parseGoDuration, RequestError } from "../base/mod.ts";
import { NO_LIMITS } from "../core/queue/mod.ts";
import type {
  AuditRowView,
  ChangesView,
  ClusterAdmin,
  ClusterStatus,
  ConnectionView,
  KeyLimits,
  KeyRowView,
  KeyWish,
  MemberLoad,
  MemberStatus,
  QueueRowView,
  RecoveryView,
  RouteExplanation,
  RouteScore,
  SplitExplanation,
  TokenRowView,
} from "../ports/mod.ts";
import { parseScopes, type Scope, SCOPES } from "../protocol/mod.ts";
import { type Exchange, requireModel } from "./exchange.ts";
import { nativeFailureAnswer } from "./ollama.ts";
import { streamLines } from "./ollama_lines.ts";
import { type ApiFamily, type Route, routesFor } from "./routes.ts";
import { type Fields, jsonAnswer, shardShape, utcTime, wireFields } from "./wire/mod.ts";

const HOUR_MS = 60 * 60 * 1_000;
const LIFETIME_MS_MIN = 1_000;
const TOKEN_LIFETIME_MS_DEFAULT = HOUR_MS;
const TOKEN_HOURS_MAX = 365 * 24;
const KEY_HOURS_MAX = 3_650 * 24;
const TOKEN_USES_MAX = 1_000;
const AUDIT_ROWS_DEFAULT = 100;
/** More than a cluster remembers. */
const AUDIT_ROWS_MAX = 10_000;
const LOG_LINES_DEFAULT = 100;
/** More than a node keeps. */
const LOG_LINES_MAX = 100_000;

const INCIDENT_SECONDS_DEFAULT = 600;
/** More than a node keeps. */
const INCIDENT_SECONDS_MAX = 86_400;

/** What operators ask of the cluster (docs/CLUSTER.md). Worded as the native API words things. */
export function clusterFamily(admin: ClusterAdmin): ApiFamily {
  return {
    name: "cluster",
    failureAnswer: nativeFailureAnswer,
    routes: [
      ...viewRoutes(admin),
      ...memberRoutes(admin),
      ...tokenRoutes(admin),
      ...keyRoutes(admin),
      ...settingRoutes(admin),
    ],
  };
}

function viewRoutes(admin: ClusterAdmin): readonly Route[] {
  return [
    ...routesFor("use", {
      "GET /api/cluster/status": async () => jsonAnswer(statusShape(await admin.status())),
      "GET /api/cluster/members": async () =>
        jsonAnswer({ members: (await admin.status()).members.map(memberShape) }),
      "GET /api/cluster/connections": async () =>
        jsonAnswer({ connections: (await admin.connections()).map(connectionShape) }),
      "GET /api/cluster/explain/:id": ({ params }) =>
        jsonAnswer({ routes: admin.explain(params["id"] ?? "").map(routeShape) }),
      "GET /api/cluster/placement": () =>
        jsonAnswer({
          models: admin.placement().map((row) =>
            wireFields(row, ["name", "digest", "nodes", "pins"])
          ),
        }),
      "GET /api/cluster/backends/:package/:file": async ({ params }) => {
        const { package: name = "", file = "" } = params;
        const body = await admin.backendFile(name, file);
        if (body !== undefined) {
          return new Response(body, { headers: { "content-type": "application/octet-stream" } });
        }
        throw new RequestError("not_found", `this node has no file "${file}" of "${name}"`);
      },
      "GET /api/cluster/feed": (exchange) =>
        streamLines(exchange, shapesOf(admin.watch(exchange.signal))),
      "GET /api/cluster/webtransport": () => {
        const { port, path, certificateHash } = admin.webTransport();
        return jsonAnswer({ port, path, certificate_hash: certificateHash });
      },
    }),
    ...routesFor("admin", {
      "GET /api/cluster/snapshot": async () => fileAnswer(await admin.saveSnapshot()),
      "GET /api/cluster/incident": (exchange) => incident(admin, exchange),
      "GET /api/cluster/logs": (exchange) => logs(admin, exchange),
      "GET /api/cluster/audit": async (exchange) => {
        const rows = { name: "limit", default: AUDIT_ROWS_DEFAULT, max: AUDIT_ROWS_MAX };
        return jsonAnswer({
          changes: (await admin.audit(countOf(exchange, rows))).map(changeShape),
        });
      },
    }),
  ];
}

function memberRoutes(admin: ClusterAdmin): readonly Route[] {
  const change = (act: (node: string) => Promise<void>): Route["handle"] => async ({ params }) =>
    await done(act(params["node"] ?? ""));
  return routesFor("admin", {
    "POST /api/cluster/members/:node/drain": change((node) => admin.drain(node)),
    "POST /api/cluster/members/:node/undrain": change((node) => admin.undrain(node)),
    ...pinRoutes(admin),
    "POST /api/cluster/members/:node/sleep": change((node) => admin.sleep(node)),
    "POST /api/cluster/members/:node/wake": async ({ params }) => {
      const { tookMs } = await admin.wake(params["node"] ?? "");
      return jsonAnswer({ took_ms: tookMs });
    },
    "POST /api/cluster/members/:node/revoke": change((node) => admin.revokeMember(node)),
    "DELETE /api/cluster/members/:node": change((node) => admin.removeMember(node)),
    "POST /api/cluster/leave": async (exchange) => {
      const force = (await exchange.readOptionalFields()).boolean("force") ?? false;
      return jsonAnswer(await admin.leave({ force }));
    },
    "GET /api/cluster/recovery": async () => jsonAnswer(recoveryShape(admin.recovery())),
    "POST /api/cluster/recover": async () => jsonAnswer(recoveryShape(await admin.recover())),
  });
}

/** Which models a member is to hold, whatever the cluster would choose. */
function pinRoutes(admin: ClusterAdmin): Readonly<Record<`POST ${string}`, Route["handle"]>> {
  const change = (act: (node: string, model: string) => Promise<void>): Route["handle"] => {
    return async (exchange) => {
      const model = requireModel(await exchange.readFields());
      return await done(act(exchange.params["node"] ?? "", model));
    };
  };
  return {
    "POST /api/cluster/members/:node/pin": change((node, model) => admin.pin(node, model)),
    "POST /api/cluster/members/:node/unpin": change((node, model) => admin.unpin(node, model)),
  };
}

function tokenRoutes(admin: ClusterAdmin): readonly Route[] {
  return routesFor("join", {
    "GET /api/cluster/tokens": async () =>
      jsonAnswer({ tokens: (await admin.listTokens()).map(tokenShape) }),
    "POST /api/cluster/tokens": async (exchange) => {
      const made = await admin.createToken(parseTokenWish(await exchange.readOptionalFields()));
      return jsonAnswer({ token: made.token, ...tokenShape(made) }, 201);
    },
    "DELETE /api/cluster/tokens/:id": async ({ params }) =>
      await done(admin.revokeToken(params["id"] ?? "")),
  });
}

function keyRoutes(admin: ClusterAdmin): readonly Route[] {
  return routesFor("admin", {
    "GET /api/cluster/keys": async () =>
      jsonAnswer({ keys: (await admin.listKeys()).map(keyShape) }),
    "POST /api/cluster/keys": async (exchange) => {
      const wish = parseKeyWish(await exchange.readOptionalFields());
      checkMayGrant(wish.scopes, exchange.scopes);
      const made = await admin.createKey(wish);
      return jsonAnswer({ key: made.key, ...keyShape(made) }, 201);
    },
    "PUT /api/cluster/keys/:id/limits": async (exchange) => {
      const limits = parseLimits(await exchange.readFields());
      return jsonAnswer(limitsShape(await admin.limitKey(exchange.params["id"] ?? "", limits)));
    },
    "DELETE /api/cluster/keys/:id": async ({ params }) =>
      await done(admin.revokeKey(params["id"] ?? "")),
    "GET /api/cluster/queue": () => jsonAnswer({ queue: admin.queue().map(queueShape) }),
  });
}

function settingRoutes(admin: ClusterAdmin): readonly Route[] {
  return routesFor("admin", {
    "GET /api/cluster/settings": async () => jsonAnswer({ settings: await admin.listSettings() }),
    "PUT /api/cluster/settings/:key": async (exchange) => {
      const value = (await exchange.readFields()).string("value");
      if (value === undefined) throw invalidRequest("value is required");
      return await done(admin.putSetting({ key: exchange.params["key"] ?? "", value }));
    },
    "DELETE /api/cluster/settings/:key": async ({ params }) =>
      await done(admin.deleteSetting(params["key"] ?? "")),
  });
}

function changeShape(change: AuditRowView): object {
  return {
    at: utcTime(change.atMs),
    ...wireFields(change, ["index", "who", "from", "action", "subject"]),
  };
}

function routeShape(route: RouteExplanation): object {
  return {
    at: utcTime(route.atMs),
    ...wireFields(route, ["model", "promptTokens", "standing", "outcome"]),
    chosen: route.chosen === undefined ? null : scoreShape(route.chosen),
    runners_up: route.runnersUp.map(scoreShape),
    excluded: route.excluded.map((row) => wireFields(row, ["nodeId", "name", "reason"])),
    ...route.exact !== undefined && { exact: route.exact },
    ...route.wake !== undefined && {
      wake: { position: route.wake.position, took_ms: route.wake.tookMs ?? null },
    },
    ...route.split !== undefined && { split: splitShape(route.split) },
    ...route.reuse !== undefined && {
      prompt_cache: {
        ...wireFields(route.reuse, ["promptTokens", "matchedTokens", "reusedTokens"]),
        ...wireFields(route.reuse, ["source", "end"]),
      },
    },
    ...route.drafts !== undefined && { drafts: { ...route.drafts } },
  };
}

function splitShape(split: SplitExplanation): object {
  return {
    ...wireFields(split, ["why", "msPerToken", "linkBytesPerToken"]),
    shards: split.shards.map(shardShape),
  };
}

function scoreShape(score: RouteScore): object {
  const parts = [
    "wakeMs",
    "hopMs",
    "queueMs",
    "loadMs",
    "moveMs",
    "prefillMs",
    "answerMs",
  ] as const;
  const spans = ["expectedMs", ...parts] as const;
  return wireFields(score, ["nodeId", "name", "rank", ...spans]);
}

/** Changes have nothing to tell but that they were made. */
async function done(change: Promise<void>): Promise<Response> {
  await change;
  return jsonAnswer({});
}

function parseTokenWish(fields: Fields): { readonly lifetimeMs: number; readonly uses: number } {
  const given = fields.raw("ttl");
  const lifetimeMs = given === undefined ? TOKEN_LIFETIME_MS_DEFAULT : parseLifetime(given);
  checkLifetime(lifetimeMs, { given, hoursMax: TOKEN_HOURS_MAX });
  const uses = fields.integer("uses") ?? 1;
  if (uses < 1 || uses > TOKEN_USES_MAX) {
    throw invalidRequest(`uses must be 1 to ${TOKEN_USES_MAX}: current value is ${uses}`);
  }
  return { lifetimeMs, uses };
}

function parseKeyWish(fields: Fields): KeyWish {
  const lifetimeMs = parseLifetime(fields.raw("ttl") ?? 0);
  if (lifetimeMs !== 0) {
    checkLifetime(lifetimeMs, { given: fields.raw("ttl"), hoursMax: KEY_HOURS_MAX });
  }
  const named = parseLimits(fields);
  const limits = Object.keys(named).length === 0 ? {} : { limits: { ...NO_LIMITS, ...named } };
  const label = fields.string("label") ?? "";
  return { label, lifetimeMs, scopes: parseScopeList(fields), ...limits };
}

/** The names of limits as JSON has them. */
const LIMIT_FIELDS = [
  ["weight", "weight"],
  ["requests_per_minute", "requestsPerMinute"],
  ["tokens_per_day", "tokensPerDay"],
  ["concurrent_requests", "concurrentRequests"],
] as const;

/** Those that are named. */
function parseLimits(fields: Fields): Partial<KeyLimits> {
  return Object.fromEntries(LIMIT_FIELDS.flatMap(([field, name]) => {
    const value = fields.integer(field);
    return value === undefined ? [] : [[name, value]];
  }));
}

function limitsShape(limits: KeyLimits): object {
  return Object.fromEntries(LIMIT_FIELDS.map(([field, name]) => [field, limits[name]]));
}

function queueShape(row: QueueRowView): object {
  return wireFields(row, ["tenant", "weight", "waiting", "running"]);
}

/** A list of words, or one text with commas; `use` when absent, as most keys are for programs that generate. */
function parseScopeList(fields: Fields): readonly Scope[] {
  const given = fields.raw("scopes") ?? ["use"];
  const words = typeof given === "string" ? given.split(",").map((word) => word.trim()) : given;
  const scopes = isTextList(words) ? parseScopes(words) : undefined;
  if (scopes !== undefined) return scopes;
  throw invalidRequest(
    `scopes must be some of ${SCOPES.join(", ")}: current value is ${JSON.stringify(given)}`,
  );
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

/** A key can't make one that may do more than itself. */
function checkMayGrant(wanted: readonly Scope[], held: readonly Scope[]): void {
  const missing = wanted.filter((scope) => !held.includes(scope));
  if (missing.length === 0) return;
  throw new RequestError(
    "forbidden",
    `forbidden: who may do ${held.join(", ")} can't make a key for ${missing.join(", ")}`,
  );
}

function checkLifetime(
  lifetimeMs: number,
  by: { readonly given: unknown; readonly hoursMax: number },
): void {
  if (lifetimeMs >= LIFETIME_MS_MIN && lifetimeMs <= by.hoursMax * HOUR_MS) return;
  const given = JSON.stringify(by.given);
  throw invalidRequest(
    `ttl must be a duration of 1s to ${by.hoursMax}h: current value is ${given}`,
  );
}

/** A Go duration or a number of seconds, as `keep_alive`; NaN for anything else. */
function parseLifetime(value: unknown): number {
  if (typeof value === "number") return value * 1_000;
  return typeof value === "string" ? parseGoDuration(value) ?? NaN : NaN;
}

/** Lines as they were logged; a failure after the first is the stream's last line, as everywhere. */
async function logs(admin: ClusterAdmin, exchange: Exchange): Promise<Response> {
  const lines = countOf(exchange, {
    name: "lines",
    default: LOG_LINES_DEFAULT,
    max: LOG_LINES_MAX,
  });
  const follow = exchange.query("follow") === "true";
  return await streamLines(exchange, admin.logs({ lines, follow }, exchange.signal));
}

/** A count in the query. @throws RequestError `invalid_request`. */
function countOf(
  exchange: Exchange,
  wanted: { readonly name: string; readonly default: number; readonly max: number },
): number {
  const { name, max } = wanted;
  const text = exchange.query(name) ?? String(wanted.default);
  const count = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (count <= max) return count;
  throw invalidRequest(`${name} must be 0 to ${max}: current value is "${text}"`);
}

async function* shapesOf(statuses: AsyncIterable<ClusterStatus>): AsyncGenerator<object> {
  for await (const status of statuses) yield statusShape(status);
}

/** What was recorded in the last seconds, of all nodes. */
async function incident(admin: ClusterAdmin, exchange: Exchange): Promise<Response> {
  const seconds = countOf(exchange, {
    name: "seconds",
    default: INCIDENT_SECONDS_DEFAULT,
    max: INCIDENT_SECONDS_MAX,
  });
  const withTexts = exchange.query("texts") === "true";
  return fileAnswer(await admin.saveIncident({ lastMs: seconds * 1_000, withTexts }));
}

function fileAnswer(bytes: Uint8Array): Response {
  return new Response(new Uint8Array(bytes), {
    headers: {
      "content-type": "application/octet-stream",
      "content-length": String(bytes.length),
    },
  });
}

function statusShape(status: ClusterStatus): object {
  return {
    ...wireFields(status, ["clusterId", "nodeId", "name", "version", "health", "leader"]),
    // Whoever is asked so answers what it knows, whatever the quorum does.
    answers: true,
    changes: changesShape(status.changes),
    ...wireFields(status, ["term", "committedIndex", "appliedIndex", "stateHash"]),
    members: status.members.map(memberShape),
    warnings: status.warnings,
  };
}

function recoveryShape(view: RecoveryView): object {
  return {
    possible: view.refusal === undefined,
    reason: view.refusal,
    last_index: view.lastIndex,
    committed_index: view.committedIndex,
    models: view.modelCount,
    left_behind: view.leftBehind.map(({ nodeId, name, isAlive, votes }) => ({
      node_id: nodeId,
      name,
      alive: isAlive,
      votes,
    })),
  };
}

/** Whether changes are possible, why not, and since when. */
export function changesShape({ possible, reason, sinceMs }: ChangesView): object {
  return { possible, reason, since: sinceMs === undefined ? undefined : utcTime(sinceMs) };
}

function memberShape(member: MemberStatus): object {
  const load = member.load;
  return {
    ...wireFields(member, [
      "nodeId",
      "name",
      "address",
      "api",
      "health",
      "role",
      "drained",
      "yields",
      "version",
      "cores",
      "diskFreeBytes",
    ]),
    match_index: member.matchIndex,
    devices: member.devices.map((device) =>
      wireFields(device, ["name", "description", "kind", "totalBytes", "freeBytes", "driver"])
    ),
    load: load === undefined ? undefined : loadShape(load),
  };
}

function loadShape(load: MemberLoad): object {
  const requests = ["runningRequests", "waitingRequests", "slots"] as const;
  return {
    ...wireFields(load, [...requests, "tokensPerSecond", "availableBytes", "loadedModels"]),
    split_models: load.splitModels.map(({ name, shards }) => ({
      name,
      shards: shards.map(shardShape),
    })),
  };
}

function tokenShape(token: TokenRowView): object {
  const { tokenId, expiresAtMs, usesLeft } = token;
  return { token_id: tokenId, expires_at: utcTime(expiresAtMs), uses_left: usesLeft };
}

function keyShape(key: KeyRowView): object {
  return {
    key_id: key.keyId,
    label: key.label,
    created_at: utcTime(key.createdAtMs),
    expires_at: key.expiresAtMs === 0 ? null : utcTime(key.expiresAtMs),
    scopes: key.scopes,
    last_used_at: key.lastUsedAtMs === 0 ? null : utcTime(key.lastUsedAtMs),
    limits: limitsShape(key.limits),
  };
}

function connectionShape(connection: ConnectionView): object {
  return {
    node_id: connection.peer,
    ...wireFields(connection, [
      "remoteAddress",
      "direction",
      "wire",
      "openStreams",
      "queuedFrames",
      "roundTripMs",
    ]),
  };
}
