import { isEdgeError } from "../../base/mod.ts";
import { Exchange, type HttpParts } from "../exchange.ts";
import type { ApiFamily, Route } from "../routes.ts";
import type { Fields } from "../wire/mod.ts";
import { type FieldKind, Recording, RecordingFields, type SampleOf } from "./recording_fields.ts";

/** Bodies that one endpoint is asked at most, for each of its fields. */
const RUNS_MAX = 100;

/** What a field holds where only its kind is known. */
const SAMPLES: Readonly<Partial<Record<FieldKind, unknown>>> = {
  string: "x",
  boolean: true,
  number: 1,
  integer: 1,
  list: ["x"],
  strings: ["x"],
  integers: [1],
  object: {},
  fields_list: true,
};
/** What some must hold to be taken, by the last part of the path. */
const NAMED_SAMPLES: Readonly<Record<string, unknown>> = {
  background: false,
  content: "x",
  encoding_format: "float",
  input: "x",
  prompt: "x",
  role: "user",
  scopes: ["use"],
  store: false,
};

/** Second names of fields, which older clients send: with one of them given, nothing would be missing. */
const SECOND_NAMES: ReadonlySet<string> = new Set(["id", "name", "quantization", "texts"]);

/** What an endpoint reads of a body. */
export interface ProbedBody {
  /** Undefined = it reads no JSON. */
  readonly fields: Recording | undefined;
  /** Names of the fields without which it refuses a request that it takes with them. */
  readonly required: readonly string[];
}

/** A body that was accepted got as far as the port, and no further. */
class Reached extends Error {
  override readonly name = "Reached";
}

/** Ports on which nothing ever happens: that one is asked is all that is to be known. */
export function unreachedParts(parts: HttpParts): HttpParts {
  const port = <Port extends object>() =>
    new Proxy({} as Port, {
      get: () => () => {
        throw new Reached();
      },
    });
  return {
    client: port(),
    responses: port(),
    ...(parts.admin === undefined ? {} : { admin: port() }),
    metrics: { increment() {}, set() {}, observe() {}, render: () => parts.metrics.render() },
    log: { log() {} },
    clock: parts.clock,
    config: parts.config,
    version: parts.version,
  };
}

/** Finds out by the endpoint's own reading which fields there are, what they hold, and which must be there. */
export async function probeBody(
  parts: HttpParts,
  family: ApiFamily,
  route: Route,
): Promise<ProbedBody> {
  const recording = new Recording();
  let reads = false;
  /** Whether the body is taken, and the last field that was given something. */
  const ask = async (sample: SampleOf): Promise<{ taken: boolean; last: string | undefined }> => {
    let last: string | undefined;
    const fields = new RecordingFields(recording, (path, kind) => {
      const value = sample(path, kind);
      if (value !== undefined) last = path;
      return value;
    });
    const exchange = new ProbeExchange(parts, { family, route }, () => {
      reads = true;
      return fields;
    });
    return { taken: await isTaken(route, exchange), last };
  };
  /** Whether there is a body that is taken and lacks `without`; then also what is left out of it. */
  const settle = async (without?: string): Promise<ReadonlySet<string> | undefined> => {
    const left = new Set<string>(without === undefined ? [] : [without]);
    for (let run = 0; run < RUNS_MAX; run++) {
      const { taken, last } = await ask((path, kind) =>
        left.has(path) || SECOND_NAMES.has(path)
          ? undefined
          : NAMED_SAMPLES[path.split(".").at(-1) ?? ""] ?? SAMPLES[kind]
      );
      if (taken) return left;
      if (last === undefined) return undefined;
      // What was read last is what was not to be read so.
      left.add(last);
    }
    return undefined;
  };
  await ask(() => undefined);
  const left = await settle();
  if (!reads) return { fields: undefined, required: [] };
  const required: string[] = [];
  for (const name of left === undefined ? [] : [...recording.rows.keys()]) {
    if (left?.has(name) || SECOND_NAMES.has(name)) continue;
    if (await settle(name) === undefined) required.push(name);
  }
  return { fields: recording, required };
}

async function isTaken(route: Route, exchange: Exchange): Promise<boolean> {
  try {
    const response = await route.handle(exchange);
    await response.body?.cancel();
    return true;
  } catch (error) {
    if (isEdgeError(error)) return false;
    return true;
  }
}

/** A request whose body is what its reader wants to read. */
class ProbeExchange extends Exchange {
  readonly #fields: () => Fields;

  constructor(
    parts: HttpParts,
    asked: { readonly family: ApiFamily; readonly route: Route },
    fields: () => Fields,
  ) {
    const { method, path } = asked.route;
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => [name, "x"]);
    super(parts, {
      family: asked.family.name,
      route: path,
      requestId: "probe",
      admitting: () => true,
      caller: { kind: "own", address: "", isPage: false },
      gone: new AbortController().signal,
      body: undefined,
    }, {
      request: new Request(`http://localhost${path.replaceAll(":", "")}`, { method }),
      params: Object.fromEntries(names),
    });
    this.#fields = fields;
  }

  override readFields(): Promise<Fields> {
    return Promise.resolve(this.#fields());
  }
}
