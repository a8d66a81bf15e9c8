import { createVariant, EMBEDDING_EDITS } from "../../harness/test_models.ts";
import { ollamaCases } from "./cases.ts";
import { type Case, VECTORS } from "./recorded.ts";
import { type Answered, type Difference, differencesOf, shapeOf } from "./shape.ts";
import allowedRows from "./allowed.json" with { type: "json" };

/** A difference that is meant; all but the reason are regular expressions. */
interface AllowedDifference {
  readonly request: string;
  readonly field: string;
  /** Of the one and the other, with ` -> ` between them. */
  readonly change: string;
  readonly reason: string;
  /** Met beside a live one alone: what is recorded leaves it open. */
  readonly live?: boolean;
}

const allowed: readonly AllowedDifference[] = allowedRows;

/** A difference that nobody has explained. */
export interface Unexplained extends Difference {
  readonly request: string;
}

/** What a run came to. */
export interface Comparison {
  readonly requests: number;
  readonly unexplained: readonly Unexplained[];
  /** By reason, how many differences it explained. */
  readonly explained: ReadonlyMap<string, number>;
}

/**
 * Sends every case to `origin`, and compares with what `against` answers; undefined: with what the contract has.
 */
export async function compareWithOllama(
  origin: string,
  options: { readonly model: string; readonly against?: string },
): Promise<Comparison> {
  const cases = ollamaCases(options.model);
  await makeModels(origin);
  if (options.against !== undefined) await makeModels(options.against);
  const unexplained: Unexplained[] = [];
  const met = allowed.filter(({ live }) => options.against !== undefined || live !== true);
  const explained = new Map<string, number>(met.map(({ reason }) => [reason, 0]));
  for (const one of cases) {
    const got = await ask(origin, one);
    const wanted = options.against === undefined ? one.recorded : await ask(options.against, one);
    for (const difference of differencesOf(wanted, got)) {
      const reason = reasonFor(one, difference);
      if (reason === undefined) unexplained.push({ request: one.name, ...difference });
      else explained.set(reason, (explained.get(reason) ?? 0) + 1);
    }
  }
  return { requests: cases.length, unexplained, explained };
}

/** An embedding model, which neither comes with. */
async function makeModels(origin: string): Promise<void> {
  const get = (path: string, init?: RequestInit) => fetch(`${origin}${path}`, init);
  const asking = {
    get,
    ask: async (path: string, body: unknown) => {
      const response = await get(path, { method: "POST", body: JSON.stringify(body) });
      return await response.json();
    },
  };
  await createVariant(asking, VECTORS, EMBEDDING_EDITS);
}

function reasonFor({ name }: Case, { field, wanted, got }: Difference): string | undefined {
  const row = allowed.find((one) =>
    new RegExp(one.request).test(name) && new RegExp(one.field).test(field) &&
    new RegExp(one.change).test(`${wanted} -> ${got}`)
  );
  return row?.reason;
}

async function ask(origin: string, one: Case): Promise<Answered> {
  const { body } = one;
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${origin}${one.path}`, {
    method: one.method,
    redirect: "manual",
    ...(text === undefined ? {} : { body: text }),
    ...(one.headers === undefined ? {} : { headers: one.headers }),
  });
  const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
  const sent = await response.text();
  const value = parseLast(sent);
  const error = typeof value === "object" && value !== null && "error" in value
    ? value.error
    : undefined;
  const { headers = {}, values = {} } = one.recorded;
  return {
    status: response.status,
    type,
    ...(value === undefined ? {} : { shape: shapeOf(value) }),
    ...(typeof error === "string" ? { error } : {}),
    headers: pick(headers, (name) => response.headers.get(name)),
    values: pick(values, (place) => valueAt(value, place)),
  };
}

/** What is found under each name of a record. */
function pick<T>(record: object, find: (name: string) => T): Record<string, T> {
  return Object.fromEntries(Object.keys(record).map((name) => [name, find(name)]));
}

function valueAt(value: unknown, place: string): unknown {
  let found = value;
  for (const key of place.split(".")) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}

/** Of several lines the last. */
function parseLast(text: string): unknown {
  try {
    return JSON.parse(text.trim().split("\n").at(-1) ?? "");
  } catch {
    return undefined;
  }
}
