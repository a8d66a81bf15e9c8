import { KeyMeter } from "../../core/queue/mod.ts";
import { isEdgeError } from "../../base/mod.ts";
import { Exchange, type HttpParts } from "../exchange.ts";
import type { ApiFamily, Route } from "../routes.ts";
import type { Fields } from "../wire/mod.ts";
import { type AnswerContent, bothContents, contentOf } from "./answer_schema.ts";
import { SAMPLE_CLIENT, sampleResponses } from "./sample_answers.ts";
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
  store: true,
};

const SAMPLE_FAILURE = {
  status: 400,
  message: "x",
  retryAfterSeconds: undefined,
  unforeseen: false,
};

/** Second names of fields, which older clients send: with one of them given, nothing would be missing. */
const SECOND_NAMES: ReadonlySet<string> = new Set(["id", "name", "quantization", "texts"]);

/** What an endpoint reads and answers. */
export interface ProbedRoute {
  /** Undefined = it reads no JSON. */
  readonly fields: Recording | undefined;
  /** Names of the fields without which it refuses a request that it takes with them. */
  readonly required: readonly string[];
  /** Of the query, as they are read. */
  readonly query: readonly string[];
  /** What it answers, in each form in which it may. */
  readonly answers: readonly AnswerContent[];
  /** How it says that it refuses. */
  readonly failures: readonly AnswerContent[];
}

/** A body that was accepted got as far as the port, and no further. */
class Reached extends Error {
  override readonly name = "Reached";
}

/** Ports on which nothing ever happens: that one is asked is all that is to be known. */
export function unreachedParts(parts: HttpParts): HttpParts {
  const port = <Port extends object>(heard: Partial<Port> = {}) =>
    new Proxy(heard as Port, {
      get: (known, name) =>
        Reflect.get(known, name) ?? (() => {
          throw new Reached();
        }),
    });
  return {
    client: port(),
    // Told before anything is asked: what it would call never happens.
    responses: port<HttpParts["responses"]>({ attend() {} }),
    ...(parts.admin === undefined ? {} : { admin: port() }),
    metrics: { increment() {}, set() {}, observe() {}, render: () => parts.metrics.render() },
    log: { log() {} },
    clock: parts.clock,
    config: parts.config,
    version: parts.version,
  };
}

/** The same, with one of everything to be found; what rules the cluster is still out of reach. */
export function sampledParts(parts: HttpParts): HttpParts {
  return { ...unreachedParts(parts), client: SAMPLE_CLIENT, responses: sampleResponses() };
}

/** Finds out by the endpoint's own reading which fields there are, what they hold, and which must be there. */
export async function probeRoute(
  parts: HttpParts,
  routed: RoutedSample,
): Promise<ProbedRoute> {
  const { family, route } = routed;
  const query = new Set<string>();
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
    const exchange = new ProbeExchange(parts, { family, route, query }, () => {
      reads = true;
      return fields;
    });
    return { taken: await isTaken(route, exchange), last };
  };
  /** Whether there is a body that is taken and lacks `without`; then also what is left out of it. */
  const settle = async (without?: string): Promise<ReadonlySet<string> | undefined> => {
    const left = new Set<string>(without === undefined ? [] : [without]);
    for (let run = 0; run < RUNS_MAX; run++) {
      const { taken, last } = await ask(samplesBut(left));
      if (taken) return left;
      if (last === undefined) return undefined;
      // What was read last is what was not to be read so.
      left.add(last);
    }
    return undefined;
  };
  await ask(() => undefined);
  const left = await settle();
  const answers = await probeAnswers(routed, left ?? new Set());
  const failure = await contentOf(family.failureAnswer(SAMPLE_FAILURE));
  const failures = failure === undefined ? [] : [failure];
  const found = { query: [...query], answers, failures };
  if (!reads) return { fields: undefined, required: [], ...found };
  const required: string[] = [];
  for (const name of left === undefined ? [] : [...recording.rows.keys()]) {
    if (left?.has(name) || SECOND_NAMES.has(name)) continue;
    if (await settle(name) === undefined) required.push(name);
  }
  return { fields: recording, required, ...found };
}

/** The forms in which an answer may be asked for. */
const FORMS: readonly Readonly<Record<string, boolean>>[] = [
  { stream: false, _debug_render_only: false },
  { stream: true, _debug_render_only: false },
  { stream: false, _debug_render_only: true },
];

/** What is answered to a body that is taken, in all forms that there are. */
async function probeAnswers(
  { family, sampled }: RoutedSample,
  left: ReadonlySet<string>,
): Promise<readonly AnswerContent[]> {
  const found = new Map<string, AnswerContent>();
  for (const form of FORMS) {
    const samples = samplesBut(left);
    const fields = new RecordingFields(
      new Recording(),
      (path, kind) => Object.hasOwn(form, path) ? form[path] : samples(path, kind),
    );
    const asked = { family, route: sampled.route, query: new Set<string>() };
    const exchange = new ProbeExchange(sampled.parts, asked, () => fields);
    try {
      const content = await contentOf(await sampled.route.handle(exchange));
      const known = content && found.get(content.mediaType);
      if (content !== undefined) found.set(content.mediaType, bothContents(content, known));
    } catch (error) {
      if (!isEdgeError(error) && !(error instanceof Reached)) throw error;
    }
  }
  return [...found.values()];
}

function samplesBut(left: ReadonlySet<string>): SampleOf {
  return (path, kind) =>
    left.has(path) || SECOND_NAMES.has(path)
      ? undefined
      : NAMED_SAMPLES[path.split(".").at(-1) ?? ""] ?? SAMPLES[kind];
}

/** An endpoint over ports that nothing reaches, and the same over samples. */
export interface RoutedSample {
  readonly family: ApiFamily;
  readonly route: Route;
  readonly sampled: { readonly parts: HttpParts; readonly route: Route };
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
  readonly #query: Set<string>;

  constructor(
    parts: HttpParts,
    asked: { readonly family: ApiFamily; readonly route: Route; readonly query: Set<string> },
    fields: () => Fields,
  ) {
    const { method, path } = asked.route;
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => [name, "x"]);
    super(parts, {
      family: asked.family.name,
      route: path,
      requestId: "probe",
      admitting: () => true,
      meter: new KeyMeter(),
      caller: { kind: "own", address: "", isPage: false },
      gone: new AbortController().signal,
      body: undefined,
    }, {
      request: new Request(`http://localhost${path.replaceAll(":", "")}`, { method }),
      params: Object.fromEntries(names),
    });
    this.#fields = fields;
    this.#query = asked.query;
  }

  override query(name: string): undefined {
    this.#query.add(name);
  }

  override readFields(): Promise<Fields> {
    return Promise.resolve(this.#fields());
  }
}
