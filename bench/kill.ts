/**
 * Every fault at every moment of every kind of answer, on real nodes: what a client with the documented recipe gets.
 *
 * `deno task bench:kill [-- --who entry --how cut --moment middle --minutes 20 --cells FILE --write --any-commit]`. Each cell is one
 * answer on a cluster of three nodes, whose first one is asked and computes nothing; only what the fault has struck is started
 * anew. `--write` puts the table into docs/KILL_MATRIX.md. What was measured is kept in a file, by default {@link CELLS}, and not
 * measured again at the same commit (`--any-commit`: at whichever); cells that the cluster did not come back in are. `--minutes` ends a
 * run that takes longer: the next one goes on with it; `--minutes 0 --write --any-commit` writes what is known.
 *
 * @module
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
// The recipe as people copy it.
import { resumingFetch } from "../docs/examples/resuming_fetch.js";
import { TestCluster } from "../tests/harness/cluster.ts";
import { editMetadata } from "../tests/harness/gguf.ts";
import { readTinyGguf, uploadBlob } from "../tests/harness/test_models.ts";
import { inTime } from "./measuring/in_time.ts";
import { describeMachine } from "./measuring/machine.ts";
import { fixed, percentile } from "./measuring/stats.ts";

const PAGE = new URL("../docs/KILL_MATRIX.md", import.meta.url);
/** All hold all models, soon, and say the same: what differs then is no matter of which kernel met how many rows. */
const ENVIRONMENT = {
  ODIST_EXACT: "on",
  ODIST_REPLICAS: "3",
  ODIST_REPLICATE_AFTER: "0s",
  ODIST_REPAIR_AFTER: "600s",
  ODIST_KEEP_ALIVE: "1h",
};
const NODES = ["n1", "n2", "n3"];
/** The one that clients ask; it is drained, so others compute. */
const ENTRY = "n1";
const CELLS = ".cache/kill_cells.jsonl";
/** Longest time that a cell may take with all that it needs; a cluster that takes longer is given up. Milliseconds. */
const CELL_WHOLE_MS_MAX = 240_000;
/** Longest wait for one answer. Milliseconds. */
const CELL_MS_MAX = 60_000;
/** A pause that a client feels; without one the answer was made before the fault struck. Milliseconds. */
const FELT_MS = 30;
/** How often a node is asked to load a model, and who computes an answer is asked for. */
const ATTEMPTS_MAX = 20;
/** Between two of these. Milliseconds. */
const LOOK_MS = 10;
/** After which the recipe takes a silent node for lost; milliseconds. */
const SILENCE_MS = 1_500;

const WHO = ["entry", "computing node", "leader", "link"] as const;
const HOW = ["kill -9", "SIGSTOP", "cut"] as const;
const MOMENTS = ["first token", "10", "middle", "last"] as const;
type Who = (typeof WHO)[number];
type How = (typeof HOW)[number];
type Moment = (typeof MOMENTS)[number];

/** One kind of answer. */
interface Kind {
  readonly name: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly streams: boolean;
  /** What of the answer is the same each time. */
  readonly textOf: (bytes: string) => string;
}

const ask = { model: "tiny", prompt: "Tell me a story about a fox." };
const messages = [{ role: "user", content: "What is Raft?" }];
const SCHEMA = {
  type: "object",
  properties: { name: { type: "string", maxLength: 200 }, age: { type: "integer" } },
  required: ["name", "age"],
};
const TOOLS = [{
  type: "function",
  function: { name: "look", description: "Looks something up", parameters: SCHEMA },
}];
// "Hm:" opens a thought and a comma closes it: so a model that never learnt to think does.
const THINKER_TEMPLATE = "{{- range .Messages }}<|im_start|>{{ .Role }}\n" +
  "{{ if .Thinking }}Hm:{{ .Thinking }},{{ end }}{{ .Content }}<|im_end|>\n" +
  "{{ end }}<|im_start|>assistant\n{{ if and .IsThinkSet .Think }}Hm:{{ end }}";

const KINDS: readonly Kind[] = [
  stream("greedy", "/api/generate", { ...ask, options: { temperature: 0 } }),
  stream("seeded", "/api/generate", { ...ask, options: { temperature: 0.8, seed: 7 } }),
  stream("JSON schema", "/api/chat", { model: "tiny", messages, format: SCHEMA }),
  stream("tool call", "/v1/chat/completions", {
    ...{ model: "tiny", messages, tools: TOOLS, tool_choice: "required", temperature: 0 },
    ...{ stream: true, seed: 1 },
  }),
  stream("thinking", "/api/chat", { model: "thinker", messages, options: { temperature: 0 } }),
  whole("embeddings", "/api/embed", {
    model: "embedder",
    input: Array.from({ length: 24 }, (_, index) => `text ${index} `.repeat(40)),
  }),
  whole("non-streaming", "/api/generate", { ...ask, options: { temperature: 0 }, stream: false }),
];

function stream(name: string, path: string, body: Kind["body"]): Kind {
  return { name, path, body, streams: true, textOf: path.startsWith("/v1") ? eventText : lineText };
}

function whole(name: string, path: string, body: Kind["body"]): Kind {
  const textOf = (text: string) => {
    const { response, embeddings } = JSON.parse(text);
    return JSON.stringify(response ?? embeddings);
  };
  return { name, path, body, streams: false, textOf };
}

function lineText(text: string): string {
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  if (lines.at(-1)?.done !== true) throw new Error(`no end: ${text.slice(-200)}`);
  return lines.map(({ response = "", message }) =>
    `${response}${message?.thinking ?? ""}${message?.content ?? ""}`
  ).join("");
}

function eventText(text: string): string {
  if (!text.trimEnd().endsWith("data: [DONE]")) throw new Error(`no end: ${text.slice(-200)}`);
  const events = text.split("\n").filter((line) => line.startsWith("data: {"));
  return events.map((line) => {
    const delta = JSON.parse(line.slice(6)).choices?.[0]?.delta ?? {};
    const calls = delta.tool_calls ?? [];
    const said = calls.map((call: { function?: { name?: string; arguments?: string } }) =>
      `${call.function?.name ?? ""}${call.function?.arguments ?? ""}`
    );
    return `${delta.content ?? ""}${said.join("")}`;
  }).join("");
}

/** An answer as a client got it. */
interface Got {
  readonly id: string;
  readonly text: string;
  readonly parts: number;
  readonly tookMs: number;
  /** Longest time without a byte, from the fault on. */
  readonly gapMs: number;
}

/** Undisturbed where `strike` never does anything. */
async function get(
  cluster: TestCluster,
  { id, kind }: { readonly id: string; readonly kind: Kind },
  strike: { readonly atPart: number; readonly atMs: number; act(): void | Promise<void> },
): Promise<Got> {
  const origins = NODES.map((name) => cluster.client(name).origin);
  const startMs = performance.now();
  let struckMs = Infinity;
  const act = async () => {
    if (struckMs !== Infinity) return;
    struckMs = performance.now();
    await strike.act();
  };
  const timer = kind.streams ? undefined : setTimeout(act, strike.atMs);
  const parts: Uint8Array[] = [];
  let lastMs = startMs;
  let gapMs = 0;
  const headers = { "x-request-id": id };
  const options = { id, headers, silenceMs: SILENCE_MS };
  const bytes = resumingFetch(origins, kind.path, kind.body, options);
  for await (const part of bytes) {
    const nowMs = performance.now();
    if (nowMs > struckMs) gapMs = Math.max(gapMs, nowMs - Math.max(lastMs, struckMs));
    lastMs = nowMs;
    parts.push(part);
    if (kind.streams && parts.length === strike.atPart) await act();
    if (nowMs - startMs > CELL_MS_MAX) throw new Error("it took too long");
  }
  clearTimeout(timer);
  const text = await new Blob(parts as Uint8Array<ArrayBuffer>[]).text();
  return { id, text, parts: parts.length, tookMs: performance.now() - startMs, gapMs };
}

/** Few tokens of it. */
function brief(body: Kind["body"]): Kind["body"] {
  if ("input" in body) return { ...body, input: "x" };
  const few = "tool_choice" in body ? { max_tokens: 1 } : { options: { num_predict: 1 } };
  return { ...body, ...few, stream: false };
}

/** Of `/api/cluster/explain/ID`. */
interface ExplainedRoute {
  readonly outcome: string;
  readonly chosen: { readonly name: string } | null;
}

/** What came of one cell. */
interface Cell {
  readonly who: Who;
  readonly how: How;
  readonly moment: Moment;
  readonly kind: string;
  /** Whoever went on with it had the model loaded. */
  readonly isWarm: boolean;
  readonly complete: boolean;
  /** The bytes are those that any node tells again. */
  readonly exact: boolean;
  readonly identical: boolean;
  readonly gapMs: number;
  readonly why: string;
}

/** A cell and what it was measured of. */
type MeasuredCell = Cell & { readonly commit: string };
/** JSON knows no NaN. */
type KeptCell = Omit<MeasuredCell, "gapMs"> & { readonly gapMs: number | null };

class Matrix {
  readonly #cluster: TestCluster;
  readonly #undisturbed = new Map<string, Got>();

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  async prepare(): Promise<void> {
    const node = this.#cluster.client(ENTRY);
    const get = (path: string, init?: RequestInit) => node.fetch(path, init);
    const create = async (model: string, edits: Record<string, unknown>, more = {}) => {
      const bytes = editMetadata(await readTinyGguf(), edits as never);
      const files = { "model.gguf": await uploadBlob({ get } as never, bytes) };
      await node.ask("POST", "/api/create", { model, files, stream: false, ...more });
    };
    await create("embedder", { "llama.pooling_type": 1 });
    await create("thinker", { "tokenizer.chat_template": undefined }, {
      template: THINKER_TEMPLATE,
    });
    await this.#drain(ENTRY, "drain");
    for (const kind of KINDS) {
      await this.#ready(kind);
      this.#undisturbed.set(kind.name, await this.#learn(kind));
    }
  }

  #learn(kind: Kind): Promise<Got> {
    const never = { atPart: Infinity, atMs: 1e9, act() {} };
    return get(this.#cluster, { id: crypto.randomUUID(), kind }, never);
  }

  async #drain(name: string, act: "drain" | "undrain"): Promise<void> {
    await this.#cluster.client(name).ask("POST", `/api/cluster/members/${name}/${act}`);
  }

  /** Every node is there, an answer is computed elsewhere and is on two nodes; whether all others have its model loaded. */
  async #ready({ path, body }: Kind): Promise<boolean> {
    const cluster = this.#cluster;
    await cluster.healthy(NODES.length);
    const isWarm = await this.#warm(String(body["model"]), { path, body });
    await cluster.until(`${body["model"]} is computed elsewhere`, async () => {
      const { status, headers } = await cluster.client(ENTRY).request("POST", path, {
        body: brief(body),
      });
      return status === 200 && headers.get("x-odist-node") !== ENTRY &&
        headers.get("x-odist-resume") === "copies=2";
    });
    return isWarm;
  }

  /** Has each of the others load the model, while all else is drained. */
  async #warm(model: string, { path, body }: Pick<Kind, "path" | "body">): Promise<boolean> {
    const others = NODES.filter((name) => name !== ENTRY);
    for (const name of others) {
      if (await this.#hasLoaded(name, model)) continue;
      const rest = others.filter((other) => other !== name);
      for (const other of rest) await this.#drain(other, "drain");
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        await this.#cluster.client(name).request("POST", path, { body: brief(body) });
        if (await this.#hasLoaded(name, model)) break;
      }
      for (const other of rest) await this.#drain(other, "undrain");
    }
    const loaded = await Promise.all(others.map((name) => this.#hasLoaded(name, model)));
    return loaded.every((has) => has);
  }

  async #hasLoaded(name: string, model: string): Promise<boolean> {
    const { body } = await this.#cluster.client(name).request("GET", "/api/ps");
    const rows = body["models"] as readonly { readonly name: string; readonly node?: string }[];
    return rows.some((row) => row.name === `${model}:latest` && (row.node ?? name) === name);
  }

  async cell(who: Who, how: How, kind: Kind, moment: Moment): Promise<Cell> {
    const cluster = this.#cluster;
    const undisturbed = this.#undisturbed.get(kind.name);
    if (undisturbed === undefined) throw new Error("not prepared");
    const isWarm = await this.#ready(kind);
    const share = { "first token": 0.02, "10": 0.1, middle: 0.5, last: 0.9 }[moment];
    const atPart = moment === "first token"
      ? 1
      : moment === "10"
      ? Math.min(10, undisturbed.parts - 1)
      : moment === "middle"
      ? Math.ceil(undisturbed.parts / 2)
      : undisturbed.parts - 1;
    const id = crypto.randomUUID();
    let target = who === "leader" ? await cluster.leader() : ENTRY;
    const act = async () => {
      if (who === "computing node" || who === "link") target = await this.#computing(id);
      await this.#strike(target, who, how);
    };
    const is = { who, how, moment, kind: kind.name, isWarm };
    try {
      const strike = { atPart, atMs: undisturbed.tookMs * share, act };
      const got = await get(cluster, { id, kind }, strike);
      // What is told as a whole has no last byte before the fault.
      const lateMs = Math.max(0, got.tookMs - undisturbed.tookMs);
      const gapMs = kind.streams ? got.gapMs : lateMs;
      const exact = await this.#toldAgain(got);
      const identical = kind.textOf(got.text) === kind.textOf(undisturbed.text);
      const why = exact ? identical ? "" : "other text" : "other bytes when told again";
      return { ...is, complete: true, exact, identical, gapMs, why };
    } catch (error) {
      const why = String(error).slice(0, 200);
      return { ...is, complete: false, exact: false, identical: false, gapMs: NaN, why };
    } finally {
      await this.#mend(target, how);
    }
  }

  /** Who computes an answer now. */
  async #computing(id: string): Promise<string> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const path = `/api/cluster/explain/${id}`;
      const { body } = await this.#cluster.client(ENTRY).request("GET", path);
      const routes = body["routes"] as readonly ExplainedRoute[];
      const held = routes.findLast(({ outcome }) => outcome === "granted");
      if (held?.chosen) return held.chosen.name;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new Error("nobody computes it");
  }

  async #strike(target: string, who: Who, how: How): Promise<void> {
    const cluster = this.#cluster;
    if (how === "kill -9") await cluster.kill(target);
    else if (how === "SIGSTOP") cluster.pause(target);
    else if (who === "link") cluster.partition([ENTRY], [target]);
    else cluster.isolate(target);
  }

  /** Whether a node tells the same bytes: of a cluster that is divided, one of either side. */
  async #toldAgain(got: Got): Promise<boolean> {
    const cluster = this.#cluster;
    for (const name of cluster.running.toReversed()) {
      const signal = AbortSignal.timeout(CELL_MS_MAX);
      const again = await cluster.client(name).fetch(`/api/answers/${got.id}`, { signal });
      if (await again.text() === got.text) return true;
    }
    return false;
  }

  async #mend(target: string, how: How): Promise<void> {
    const cluster = this.#cluster;
    if (how === "kill -9" && !cluster.running.includes(target)) await cluster.restart(target);
    if (how === "SIGSTOP" && !cluster.running.includes(target)) cluster.resume(target);
    if (how === "cut") cluster.heal();
  }
}

/** How such a cell begins: it says nothing of the answer. */
const NO_CLUSTER = "the cluster did not come back";

/** A cluster, and the next one when that one doesn't come back from what was done to it. */
class Scene implements AsyncDisposable {
  #cluster: TestCluster | undefined;
  #matrix: Matrix | undefined;

  async cell(who: Who, how: How, kind: Kind, moment: Moment): Promise<Cell> {
    try {
      const matrix = this.#matrix ?? await inTime(this.#begin(), CELL_WHOLE_MS_MAX);
      return await inTime(matrix.cell(who, how, kind, moment), CELL_WHOLE_MS_MAX);
    } catch (error) {
      const folder = await this.#cluster?.collect("bench kill");
      await this[Symbol.asyncDispose]();
      const why = `${NO_CLUSTER}: ${String(error).slice(0, 80)}`;
      console.log(`${why}; its logs are in ${folder}`);
      const was = { complete: false, exact: false, identical: false, isWarm: false, gapMs: NaN };
      return { who, how, kind: kind.name, moment, ...was, why };
    }
  }

  async #begin(): Promise<Matrix> {
    this.#cluster = await TestCluster.start(NODES.length, { environment: ENVIRONMENT });
    const matrix = new Matrix(this.#cluster);
    await matrix.prepare();
    return this.#matrix = matrix;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = this.#matrix = undefined;
    await cluster?.[Symbol.asyncDispose]();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      who: { type: "string" },
      how: { type: "string" },
      moment: { type: "string" },
      kind: { type: "string" },
      cells: { type: "string", default: CELLS },
      "any-commit": { type: "boolean", default: false },
      minutes: { type: "string", default: "Infinity" },
      write: { type: "boolean", default: false },
    },
  });
  const machine = await describeMachine();
  const endMs = performance.now() + Number(values.minutes) * 60_000;
  await using scene = new Scene();
  // The table that a run writes makes the tree another one, but not the nodes.
  const commit = String(machine["commit"]).replace(/-dirty$/, "");
  const kept = await readCells(values.cells);
  const cells = values["any-commit"] ? lastOfEach(kept) : kept.filter((it) => it.commit === commit);
  const known = new Set(cells.map(keyOf));
  const missing = wanted(values).filter(([who, how, { name: kind }, moment]) =>
    !known.has(keyOf({ who, how, kind, moment }))
  );
  console.log(`${known.size} cells are known, ${missing.length} are missing`);
  for (const [who, how, kind, moment] of missing) {
    if (performance.now() > endMs) break;
    const startMs = performance.now();
    const cell = await scene.cell(who, how, kind, moment);
    await appendCell(values.cells, { ...cell, commit });
    if (!cell.why.startsWith(NO_CLUSTER)) cells.push({ ...cell, commit });
    const gap = `${fixed(cell.gapMs, 0)} ms`;
    const took = `in ${fixed((performance.now() - startMs) / 1000, 1)} s`;
    console.log([who, how, kind.name, moment, cell.complete, gap, took, cell.why].join(" | "));
  }
  if (values.write) await writePage(pageOf(cells, machine));
  console.log(pageOf(cells, machine));
}

async function writePage(page: string): Promise<void> {
  await Deno.writeTextFile(PAGE, page);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", fileURLToPath(PAGE)] })
    .output();
}

function keyOf(
  { who, how, kind, moment }: Pick<Cell, "who" | "how" | "kind" | "moment">,
): string {
  return [who, how, kind, moment].join();
}

/** Of earlier runs. A line that was cut off is none. */
async function readCells(path: string): Promise<MeasuredCell[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  const kept = text.split("\n").filter((line) => line.endsWith("}"))
    .map((line): KeptCell => JSON.parse(line));
  return kept.filter((cell) => !cell.why.startsWith(NO_CLUSTER))
    .map((cell) => ({ ...cell, gapMs: cell.gapMs ?? NaN }));
}

/** As it was measured last. */
function lastOfEach(cells: readonly MeasuredCell[]): MeasuredCell[] {
  return [...new Map(cells.map((cell) => [keyOf(cell), cell])).values()];
}

async function appendCell(path: string, cell: KeptCell): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, `\n${JSON.stringify(cell)}\n`, { append: true });
}

type Wish = Partial<Record<"who" | "how" | "moment" | "kind", string>>;

function wanted(wish: Wish): readonly (readonly [Who, How, Kind, Moment])[] {
  const is = (asked: string | undefined, name: string) =>
    asked === undefined || asked.split(",").includes(name);
  // One moment after the other: a run that is ended early has met every fault.
  return MOMENTS.filter((moment) => is(wish.moment, moment)).flatMap((moment) =>
    WHO.filter((who) => is(wish.who, who)).flatMap((who) =>
      HOW.filter((how) => is(wish.how, how) && (who !== "link" || how === "cut")).flatMap((how) =>
        // What is told as a whole has no tenth token.
        KINDS.filter((kind) => is(wish.kind, kind.name) && (kind.streams || moment !== "10"))
          .map((kind) => [who, how, kind, moment] as const)
      )
    )
  );
}

function pageOf(
  cells: readonly MeasuredCell[],
  machine: Readonly<Record<string, unknown>>,
): string {
  const groups = Map.groupBy(cells, ({ who, how }) => `${who} | ${how}`);
  const rows = [...groups].map(([name, group]) => {
    const perKind = KINDS.map(({ name: kind }) => {
      const own = group.filter((cell) => cell.kind === kind);
      const whole = own.filter(({ exact, identical }) => exact && identical).length;
      return own.length === 0 ? "–" : `${whole}/${own.length}`;
    });
    return `| ${name} | ${perKind.join(" | ")} | ${gaps(group)} |`;
  });
  const warm = cells.filter(({ how, isWarm }) => isWarm && how === "kill -9");
  const moments = [...new Set(cells.map(({ moment }) => moment))].join(", ");
  const count = (is: (cell: Cell) => boolean) => cells.filter(is).length;
  const failed = cells.filter(({ exact, identical }) => !exact || !identical).map((cell) =>
    `- ${cell.who}, ${cell.how}, ${cell.kind}, ${cell.moment}: ${cell.why}`
  );
  return [
    "# What a client gets when a node dies",
    "",
    "Made by `deno task bench:kill -- --write`: three nodes on one machine, of which the first is asked and the others compute,",
    "with the embedded model and `--exact on`; the client reads with [resuming_fetch.js](examples/resuming_fetch.js) and takes a node for lost",
    `that says nothing for ${SILENCE_MS} ms. Faults came at: ${moments}. A cell`,
    "counts when the answer came to its end, a node tells the very same bytes again, and its text is that of an undisturbed",
    "answer. The pause of what is told as a whole is how much later it came than undisturbed. The leader may be the node that computes, too. A link is the one between the node asked and the one that computes.",
    "",
    `${cells.length} of ${wanted({}).length} cells: ${count((it) => it.complete)} complete, ${
      count((it) => it.complete && !it.exact)
    } with bytes lost or repeated, ${count((it) => it.identical)} with the undisturbed text; gap ${
      gaps(cells)
    } ms (p50 / p99).`,
    ...warm.length === 0
      ? []
      : [`Of ${warm.length} kills where whoever went on had the model loaded: ${gaps(warm)} ms.`],
    "",
    `| who | how | ${KINDS.map(({ name }) => name).join(" | ")} | pause p50 / p99 ms |`,
    `|---|---|${KINDS.map(() => "---|").join("")}---|`,
    ...rows,
    ...(failed.length === 0 ? [] : ["", "Cells that don't count:", "", ...failed]),
    "",
    `Measured on: ${
      Object.entries({ ...machine, commit: commitsOf(cells) }).map(([name, value]) =>
        `${name} ${value}`
      ).join(", ")
    }.`,
    "",
  ].join("\n");
}

function commitsOf(cells: readonly MeasuredCell[]): string {
  return [...new Set(cells.map(({ commit }) => commit))].join(" and ");
}

function gaps(cells: readonly Cell[]): string {
  const all = cells.filter(({ complete }) => complete).map(({ gapMs }) => gapMs)
    .filter((gapMs) => gapMs > FELT_MS);
  return `${fixed(percentile(all, 0.5), 0)} / ${fixed(percentile(all, 0.99), 0)}`;
}

if (import.meta.main) await main();
