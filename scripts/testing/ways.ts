/**
 * Counts the files that requests pass through in a node, and the generators that their tokens do: what has a function that ran
 * at least once for each of a number of requests more than in a node that did nothing meanwhile. What only starting a node
 * runs is in both, and files that are imported and not run are in neither. A generator passes tokens on when a part of it ran
 * several times for each request. Runners and template workers are processes of their own and not counted.
 *
 * `deno task ways` prints what it found; `--check` fails where docs/ARCHITECTURE.md says something else, `--write` has it say
 * so.
 *
 * @module
 */
import { join } from "node:path";
import { staleFigures, type WayFigures, withFigures } from "./ways_table.ts";
import { startNode, type TestNode } from "../../tests/harness/node.ts";
import { TestRegistry } from "../../tests/harness/registry.ts";
import { createVariant, readTinyGguf } from "../../tests/harness/test_models.ts";

const SOURCES = new URL("../../src/", import.meta.url).href;
const PAGE = new URL("../../docs/ARCHITECTURE.md", import.meta.url);
/** A node idles so long at least, and longer than the requests took: what runs by itself must run more often without them. */
const IDLE_MS = 10_000;
const IDLE_TIMES_REQUESTS = 1.2;

/** Without copies of its own a node has to ask the one that holds the model. */
const ENVIRONMENT = { ODIST_REPLICAS: "1" };

interface Nodes {
  /** Asked, and looked at unless `looksAt` says otherwise. */
  readonly first: TestNode;
  /** A member of the same cluster, where there are two. */
  readonly second: TestNode | undefined;
}

interface Way {
  /** As the page has it. */
  readonly name: string;
  readonly hasTokens: boolean;
  readonly requests: number;
  readonly nodes: 1 | 2;
  readonly looksAt: "first" | "second";
  /** Rooms whose own work can't be told apart from the way. */
  readonly without?: readonly string[];
  readonly prepare: (nodes: Nodes) => Promise<void>;
  readonly ask: (nodes: Nodes, number: number) => Promise<void>;
}

interface Ran {
  /** How often the function ran, and how often the part of it that ran most. */
  readonly count: number;
  readonly countMax: number;
}

/** By file, name and place of each function. */
type Counts = ReadonlyMap<string, Ran>;

/** A part of a generator that ran so often for each request runs for tokens: an answer has {@link CHAT}'s eight. */
const PARTS_PER_REQUEST = 3;

const CHAT = {
  model: "tiny",
  messages: [{ role: "user", content: "hi" }],
  options: { num_predict: 8 },
};

const chat: Way = {
  name: "a chat request",
  hasTokens: true,
  requests: 12,
  nodes: 1,
  looksAt: "first",
  prepare: async ({ first }) => {
    await createVariant(first, "tiny", {});
    await first.askLines("/api/chat", CHAT);
  },
  ask: async ({ first }) => void await first.askLines("/api/chat", CHAT),
};

const chatElsewhere: Way = {
  ...chat,
  name: "one that another node answers, where it is asked",
  nodes: 2,
  prepare: async ({ first, second }) => {
    if (second === undefined) throw new Error("there is no second node");
    await createVariant(second, "tiny", {});
    await first.askLines("/api/chat", CHAT);
  },
};

const chatServed: Way = {
  ...chatElsewhere,
  name: "the same, where it is computed",
  looksAt: "second",
};

const gossip: Way = {
  name: "a gossip datagram, there and back",
  hasTokens: false,
  requests: IDLE_MS / 1_000,
  nodes: 2,
  looksAt: "first",
  // Beats of the log's group come as often, and so do looks at the voters and at connections.
  without: ["core/raft", "core/voting", "core/catalogue", "group", "storage", "http"],
  prepare: () => Promise.resolve(),
  // At least one probe a second goes out and one comes in; the node that idles does so for half as long.
  ask: () => pause(2 * 1_000),
};

function pullFrom(registry: TestRegistry, weights: Uint8Array<ArrayBuffer>): Way {
  return {
    name: "a `pull`",
    hasTokens: false,
    requests: 5,
    nodes: 1,
    looksAt: "first",
    prepare: () => Promise.resolve(),
    ask: async ({ first }, number) => {
      // Other weights each time, or the blob would be here already.
      const other = new Uint8Array([...weights, ...new Uint8Array(32).fill(number + 1)]);
      const model = registry.addModel(`m${number}`, { weights: other });
      const lines = await first.askLines("/api/pull", { model, insecure: true });
      if (lines.at(-1)?.["status"] !== "success") throw new Error(JSON.stringify(lines.at(-1)));
    },
  };
}

/** Runs nodes through what `use` does with them, and returns what one of them executed. */
async function countCalls(way: Way, use: (nodes: Nodes) => Promise<void>): Promise<Counts> {
  const folder = await Deno.makeTempDir({ prefix: "odist-ways-" });
  try {
    const watched = { environment: { ...ENVIRONMENT, DENO_COVERAGE_DIR: folder } };
    const plain = { environment: ENVIRONMENT };
    await using first = await startNode(way.looksAt === "first" ? watched : plain);
    const joining = way.nodes === 2 ? await joinOf(first) : undefined;
    await using second = joining === undefined
      ? undefined
      : await startNode({ ...(way.looksAt === "second" ? watched : plain), args: joining });
    const nodes = { first, second };
    await way.prepare(nodes);
    await use(nodes);
    await (way.looksAt === "first" ? first : second)?.stop();
    return await readCounts(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The arguments with which another node joins. */
async function joinOf(node: TestNode): Promise<readonly string[]> {
  const { token } = await node.ask("/api/cluster/tokens", {});
  const status = await (await node.get("/api/cluster/status")).json();
  return ["--join", status.members[0].address, "--token", String(token)];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function readCounts(folder: string): Promise<Counts> {
  const counts = new Map<string, Ran>();
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".json")) continue;
    const { url, functions } = JSON.parse(await Deno.readTextFile(join(folder, name)));
    if (!url.startsWith(SOURCES)) continue;
    for (const { functionName, ranges } of functions) {
      const [{ startOffset, count }] = ranges;
      const key = `${url.slice(SOURCES.length)} ${functionName} ${startOffset}`;
      const countMax = Math.max(...ranges.map((range: { readonly count: number }) => range.count));
      const { count: before, countMax: beforeMax } = counts.get(key) ?? NEVER;
      counts.set(key, { count: before + count, countMax: beforeMax + countMax });
    }
  }
  if (counts.size === 0) throw new Error("the node left no coverage");
  return counts;
}

const NEVER: Ran = { count: 0, countMax: 0 };

/** The functions of a way, with how often each ran for one request. */
async function functionsOf(way: Way): Promise<ReadonlyMap<string, Ran>> {
  let tookMs = 0;
  const asked = await countCalls(way, async (nodes) => {
    const startedMs = performance.now();
    for (let number = 0; number < way.requests; number++) await way.ask(nodes, number);
    tookMs = performance.now() - startedMs;
  });
  const idleMs = Math.max(IDLE_MS, tookMs * (way === gossip ? 0.5 : IDLE_TIMES_REQUESTS));
  const idle = await countCalls(way, () => pause(idleMs));
  const found = new Map<string, Ran>();
  for (const [key, ran] of asked) {
    const before = idle.get(key) ?? NEVER;
    const count = (ran.count - before.count) / way.requests;
    const countMax = (ran.countMax - before.countMax) / way.requests;
    const isApart = way.without?.includes(roomOf(key.split(" ")[0] ?? "")) === true;
    if (count >= 1 && !isApart) found.set(key, { count, countMax });
  }
  return found;
}

/** `file name` of the functions that are generators and pass tokens on. */
async function tokenGenerators(functions: ReadonlyMap<string, Ran>): Promise<string[]> {
  const found = new Set<string>();
  for (const [key, { countMax }] of functions) {
    const [file = "", name = ""] = key.split(" ");
    if (countMax < PARTS_PER_REQUEST) continue;
    const text = await Deno.readTextFile(new URL(file, SOURCES));
    if (generatorNames(text).has(name)) found.add(`${file} ${name}`);
  }
  return [...found].sort();
}

/** Methods, declared functions, and functions that are given to a name. */
function generatorNames(source: string): ReadonlySet<string> {
  const methods = source.matchAll(/\*\s*(#?\w+|\[Symbol\.\w+\])\s*[<(]/g);
  const given = source.matchAll(/(\w+)\s*[=:]\s*(?:async\s+)?function\*/g);
  return new Set([...methods, ...given].flatMap(([, name]) => name ?? []));
}

/** `src/core` has folders that stand for themselves. */
function roomOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return first === "core" ? `core/${second}` : first;
}

/** Measures a way and prints what it found. */
async function measure(way: Way): Promise<WayFigures> {
  const functions = await functionsOf(way);
  const files = [...new Set([...functions.keys()].map((key) => key.split(" ")[0] ?? ""))].sort();
  const rooms = Map.groupBy(files, roomOf);
  const generators = await tokenGenerators(functions);
  console.log(`${way.name}: ${files.length} files in ${rooms.size} folders`);
  for (const [room, inside] of rooms) {
    console.log(`  ${room} (${inside.length}): ${inside.join(" ")}`);
  }
  if (way.hasTokens) console.log(`  generators that a token passes: ${generators.join(", ")}`);
  return {
    files: files.length,
    folders: rooms.size,
    tokenGenerators: way.hasTokens ? generators.length : undefined,
  };
}

if (import.meta.main) {
  await using registry = new TestRegistry();
  const ways = [chat, chatElsewhere, chatServed, pullFrom(registry, await readTinyGguf()), gossip];
  const measured = new Map<string, WayFigures>();
  for (const way of ways) measured.set(way.name, await measure(way));
  const page = await Deno.readTextFile(PAGE);
  if (Deno.args.includes("--write")) await Deno.writeTextFile(PAGE, withFigures(page, measured));
  if (Deno.args.includes("--check")) {
    const stale = staleFigures(page, measured);
    for (const line of stale) console.error(line);
    if (stale.length > 0) Deno.exit(1);
  }
}
