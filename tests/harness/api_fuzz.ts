/**
 * Requests made at random from what `/openapi.json` says, some of them broken on purpose, against a running node. The same
 * seed makes the same requests.
 *
 * @module
 */
import { Random } from "../../src/base/mod.ts";

/** Longer than any of these requests takes, loading a model included. */
const HANG_MS = 30_000;
/** Tokens of one answer at most. */
const PREDICT_MAX = 3;
/** Endpoints that would end the node, its cluster or its models, or answer without end. */
const LEFT_OUT = /^(?:\/api\/cluster\/|\/api\/delete$)/;
/** The contract's own answers of 500, which say what is wrong with the request. */
const FORESEEN_500 = /^(?:option "|invalid format: |pull model manifest: )/;
/** A registry where nobody listens. */
const NO_REGISTRY = { model: "127.0.0.1:1/a/b:c" };

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly required?: readonly string[];
}

interface Endpoint {
  readonly method: string;
  readonly path: string;
  readonly body: Schema | undefined;
  /** What it answers, by its form. */
  readonly answers: Readonly<Record<string, { readonly schema: Schema }>>;
}

/** What went wrong, and with which request. */
export interface FuzzFinding {
  readonly request: string;
  readonly what: string;
}

/** What a run came to. */
export interface FuzzReport {
  readonly findings: readonly FuzzFinding[];
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>;
}

/** Sends `count` requests, one after the other. `onRound` is called before each. */
export async function fuzzApi(
  origin: string,
  options: {
    readonly seed: number;
    readonly count: number;
    readonly onRound?: (round: number) => Promise<void> | void;
  },
): Promise<FuzzReport> {
  const random = new Random(options.seed);
  const endpoints = await endpointsOf(origin);
  const findings: FuzzFinding[] = [];
  const statuses = new Map<number, number>();
  for (let round = 0; round < options.count; round++) {
    await options.onRound?.(round);
    const endpoint = pick(random, endpoints);
    const request = makeRequest(random, endpoint);
    const outcome = await send(origin, request, endpoint);
    if (outcome.status !== undefined) {
      statuses.set(outcome.status, (statuses.get(outcome.status) ?? 0) + 1);
    }
    if (outcome.what !== undefined) {
      const shown = `${request.method} ${request.path} ${request.body ?? ""}`.slice(0, 600);
      findings.push({ request: `round ${round}: ${shown}`, what: outcome.what });
    }
  }
  return { findings, statuses };
}

async function endpointsOf(origin: string): Promise<readonly Endpoint[]> {
  const document = await (await fetch(`${origin}/openapi.json`)).json();
  const rows: Endpoint[] = [];
  for (const [path, methods] of Object.entries<Record<string, unknown>>(document.paths)) {
    if (LEFT_OUT.test(path)) continue;
    for (const [method, operation] of Object.entries(methods)) {
      const { requestBody, responses } = operation as {
        requestBody?: { content: { "application/json": { schema: Schema } } };
        responses: { "2XX": { content?: Endpoint["answers"] } };
      };
      const body = requestBody?.content["application/json"].schema;
      const answers = responses["2XX"].content ?? {};
      const shown = path.replaceAll(/\{\w+\}/g, "x");
      const row = { method: method.toUpperCase(), path: shown, body, answers };
      // Those with a body have more to get wrong.
      rows.push(row, ...(body === undefined ? [] : Array(5).fill(row)));
    }
  }
  return rows;
}

interface MadeRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
}

function makeRequest(random: Random, { method, path, body }: Endpoint): MadeRequest {
  if (body === undefined) {
    const text = method === "POST" && random.chance(1, 2) ? "{}" : undefined;
    return { method, path, body: text };
  }
  const value = makeObject(random, body, { depth: 0, isBroken: random.chance(1, 2) });
  tame(random, path, value);
  const text = JSON.stringify(value);
  return { method, path, body: random.chance(1, 20) ? breakText(random, text) : text };
}

interface Making {
  readonly depth: number;
  readonly isBroken: boolean;
}

function makeObject(
  random: Random,
  schema: Schema,
  making: Making,
): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isWanted = schema.required?.includes(name) || making.depth > 0;
    if (!random.chance(isWanted ? 9 : 2, 10)) continue;
    const value = making.isBroken && random.chance(1, 6)
      ? anyValue(random, 0)
      : makeValue(random, property, making);
    made[random.chance(1, 40) ? name.toUpperCase() : name] = value;
  }
  return made;
}

function makeValue(random: Random, schema: Schema, making: Making): unknown {
  const deeper = { ...making, depth: making.depth + 1 };
  if (schema.anyOf !== undefined) return makeValue(random, pick(random, schema.anyOf), making);
  switch (schema.type) {
    case "string":
      return pick(random, ["x", "user", "Hello!", "", "json", "auto", "a\u0000b", "🦊", "-1"]);
    case "boolean":
      return random.chance(1, 2);
    case "integer":
      return pick(random, [0, 1, 2, 5, -1, 20, 2 ** 31, Number.MAX_SAFE_INTEGER]);
    case "number":
      return pick(random, [0, 0.5, 1, 2, -1, 1e300]);
    case "array":
      return Array.from(
        { length: random.below(4) },
        () => makeValue(random, schema.items ?? {}, deeper),
      );
    case "object":
      return schema.properties === undefined
        ? pick(random, [{}, { type: "object" }, { type: "string" }, { a: 1 }])
        : makeObject(random, schema, deeper);
    default:
      return pick(random, [
        "x",
        1,
        true,
        ["x"],
        { type: "text", text: "x" },
        [{ type: "x" }],
        null,
      ]);
  }
}

function anyValue(random: Random, depth: number): unknown {
  const plain = [
    null,
    true,
    "",
    "x".repeat(5_000),
    -1,
    1.5,
    1e308,
    "\ud800",
    "__proto__",
    [],
    {},
  ];
  if (depth > 3 || random.chance(3, 4)) return pick(random, plain);
  return random.chance(1, 2)
    ? [anyValue(random, depth + 1), anyValue(random, depth + 1)]
    : { constructor: anyValue(random, depth + 1), "": anyValue(random, depth + 1) };
}

/** Keeps answers short and the model loaded, which costs time and finds nothing. */
function tame(random: Random, path: string, value: Record<string, unknown>): void {
  const isTransfer = path === "/api/pull" || path === "/api/push";
  if (isTransfer) Object.assign(value, NO_REGISTRY);
  else if (typeof value.model === "string") value.model = random.chance(9, 10) ? "tiny" : "nope";
  for (const name of Object.keys(value)) {
    if (/^(?:name|insecure)$/i.test(name) && name !== "insecure") delete value[name];
  }
  if (path === "/api/create" || path === "/api/copy") {
    value.model = value.destination = `made-${random.below(5)}`;
    if (random.chance(1, 2)) value.from = value.source = "tiny";
  }
  // What is stored is kept, up to ten thousand of them: memory that is meant to be taken.
  if (path === "/v1/responses" && random.chance(9, 10)) value.store = false;
  if (typeof value.keep_alive !== "object") delete value.keep_alive;
  for (const name of ["max_tokens", "max_output_tokens", "max_completion_tokens"]) {
    if (name in value || name === "max_tokens") value[name] = 1 + random.below(PREDICT_MAX);
  }
  const { options } = value;
  if (options !== undefined && !isObject(options)) return;
  const kept = { ...options, num_predict: 1 + random.below(PREDICT_MAX) };
  const loads = ["num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"];
  const rest = Object.entries(kept).filter(([name]) =>
    !loads.includes(name.toLowerCase()) || random.chance(1, 100)
  );
  value.options = Object.fromEntries(rest);
}

function breakText(random: Random, text: string): string {
  switch (random.below(4)) {
    case 0:
      return text.slice(0, random.below(text.length + 1));
    case 1:
      return `${"[".repeat(2_000)}${text}`;
    case 2:
      return text.replaceAll('"', "'");
    default:
      return "";
  }
}

/** The status, and what is wrong with the answer. */
async function send(
  origin: string,
  { method, path, body }: MadeRequest,
  { answers }: Endpoint,
): Promise<{ readonly status: number | undefined; readonly what: string | undefined }> {
  try {
    const response = await fetch(`${origin}${path}`, {
      method,
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(HANG_MS),
    });
    const { status } = response;
    const text = await response.text();
    if (method === "HEAD") return { status, what: undefined };
    const fault = faultOf(response, text, path);
    return {
      status,
      what: fault ?? (response.ok ? undescribed(response, text, answers) : undefined),
    };
  } catch (error) {
    return { status: undefined, what: `no answer: ${error}` };
  }
}

function faultOf(response: Response, text: string, path: string): string | undefined {
  const { status } = response;
  const type = response.headers.get("content-type") ?? "";
  if (response.headers.get("x-request-id") === null) return "no x-request-id";
  if (type.includes("json") && !type.includes("ndjson")) {
    const parsed = parseJson(text);
    if (parsed === undefined) return `not JSON: ${text.slice(0, 200)}`;
    return status < 400 ? undefined : errorFault(status, parsed, path);
  }
  if (type.includes("ndjson")) {
    const lines = text.trim().split("\n").map(parseJson);
    if (lines.includes(undefined)) return `a line is not JSON: ${text.slice(0, 200)}`;
    const last = lines.at(-1);
    const ends = isObject(last) &&
      ("error" in last || last.done === true || last.status === "success");
    if (!ends) return `a stream without an end: ${text.slice(-200)}`;
    return isObject(last) && last.error === "internal error" ? "internal error" : undefined;
  }
  return status >= 500 && status !== 503 ? `${status}: ${text.slice(0, 200)}` : undefined;
}

/** What of an answer is not as `/openapi.json` says. */
function undescribed(
  response: Response,
  text: string,
  answers: Endpoint["answers"],
): string | undefined {
  const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
  const schema = answers[type]?.schema;
  if (schema === undefined || !type.includes("json")) return undefined;
  const values = type === "application/json" ? [text] : text.trim().split("\n");
  for (const value of values.map(parseJson)) {
    if (isObject(value) && "error" in value) continue;
    const misfit = misfitOf(value, schema, "");
    if (misfit !== undefined) return `not as described: ${misfit}: ${text.slice(0, 200)}`;
  }
  return undefined;
}

function misfitOf(value: unknown, schema: Schema, at: string): string | undefined {
  if (value === null || schema.type === undefined) return undefined;
  const type = Array.isArray(value) ? "array" : typeof value;
  if (type !== schema.type) return `${at} is ${type}, not ${schema.type}`;
  if (Array.isArray(value)) {
    return value.map((item) => misfitOf(item, schema.items ?? {}, `${at}[]`)).find(Boolean);
  }
  const known = schema.properties ?? {};
  if (!isObject(value) || Object.keys(known).length === 0) return undefined;
  return Object.entries(value).map(([name, inner]) => {
    const field = known[name];
    return field === undefined
      ? `${at}.${name} is not there`
      : misfitOf(inner, field, `${at}.${name}`);
  }).find(Boolean);
}

function errorFault(status: number, parsed: unknown, path: string): string | undefined {
  const told = isObject(parsed) ? parsed.error : undefined;
  const message = isObject(told) ? told.message : told;
  // `/ready` says why it isn't, in a form of its own.
  if (typeof message !== "string") {
    return path === "/ready" ? undefined : `an error without its text: ${JSON.stringify(parsed)}`;
  }
  if (path.startsWith("/v1/") !== isObject(told)) return `an envelope of another API: ${message}`;
  return status === 500 && !FORESEEN_500.test(message) ? `500: ${message}` : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pick<T>(random: Random, from: readonly T[]): T {
  const [first] = from;
  const picked = from[random.below(from.length)] ?? first;
  return picked as T;
}
