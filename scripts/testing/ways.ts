/**
 * Counts the files that requests pass through in a node, and the generators that their tokens do: what has a function that ran
 * at least once for each of a number of requests more than in a node that did nothing meanwhile. Runners and template workers
 * are processes of their own and not counted. `deno task ways`; docs/ARCHITECTURE.md quotes it.
 *
 * @module
 */
import { join } from "node:path";
import { startNode, type TestNode } from "../../tests/harness/node.ts";
import { TestRegistry } from "../../tests/harness/registry.ts";
import { createVariant, readTinyGguf } from "../../tests/harness/test_models.ts";

const SOURCES = new URL("../../src/", import.meta.url).href;
/** Idles longer than the requests take, so that what ran by itself ran more often without them. */
const IDLE_MS = 10_000;

/** Without copies of its own a node has to ask the one that holds the model. */
const ENVIRONMENT = { ODIST_REPLICAS: "1" };

interface Nodes {
  /** Asked, and looked at unless `looksAt` says otherwise. */
  readonly first: TestNode;
  /** A member of the same cluster, where there are two. */
  readonly second: TestNode | undefined;
}

interface Way {
  readonly name: string;
  readonly requests: number;
  readonly nodes: 1 | 2;
  readonly looksAt: "first" | "second";
  /** Rooms whose own work can't be told apart from the way. */
  readonly without?: readonly string[];
  readonly prepare: (nodes: Nodes) => Promise<void>;
  readonly ask: (nodes: Nodes, number: number) => Promise<void>;
}

/** How often each function ran: by file, name and place. */
type Counts = ReadonlyMap<string, number>;

const CHAT = {
  model: "tiny",
  messages: [{ role: "user", content: "hi" }],
  options: { num_predict: 8 },
};

const chat: Way = {
  name: "a chat request",
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
  name: "a chat request that another node answers, where it is asked",
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
  name: "a gossip datagram",
  requests: IDLE_MS / 1_000,
  nodes: 2,
  looksAt: "first",
  // Beats of the log's group come as often, and so do looks at the voters and at connections.
  without: ["core/raft", "core/voting", "core/catalogue", "group", "storage", "http"],
  prepare: () => Promise.resolve(),
  // At least one probe a second goes out and one comes in.
  ask: () => pause(2 * 1_000),
};

function pullFrom(registry: TestRegistry, weights: Uint8Array<ArrayBuffer>): Way {
  return {
    name: "a pull",
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

/** Runs nodes through the way's requests, or lets them idle instead, and returns what one of them executed. */
async function countCalls(way: Way, requests: number): Promise<Counts> {
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
    const startedMs = performance.now();
    for (let number = 0; number < requests; number++) await way.ask(nodes, number);
    if (requests === 0) await pause(IDLE_MS);
    const tookMs = performance.now() - startedMs;
    if (way !== gossip && tookMs > IDLE_MS + 500) throw new Error(`${way.name} took ${tookMs} ms`);
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
  const counts = new Map<string, number>();
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".json")) continue;
    const { url, functions } = JSON.parse(await Deno.readTextFile(join(folder, name)));
    if (!url.startsWith(SOURCES)) continue;
    for (const { functionName, ranges } of functions) {
      const [{ startOffset, count }] = ranges;
      const key = `${url.slice(SOURCES.length)} ${functionName} ${startOffset}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  if (counts.size === 0) throw new Error("the node left no coverage");
  return counts;
}

async function functionsOf(way: Way): Promise<string[]> {
  const idle = await countCalls(way, 0);
  const asked = await countCalls(way, way.requests);
  return [...asked].filter(([key, count]) => count - (idle.get(key) ?? 0) >= way.requests)
    .map(([key]) => key)
    .filter((key) => !way.without?.includes(roomOf(key.split(" ")[0] ?? "")));
}

/** `file name` of the functions that are generators. */
async function generatorsAmong(functions: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const key of functions) {
    const [file = "", name = ""] = key.split(" ");
    const text = await Deno.readTextFile(new URL(file, SOURCES));
    const isGenerator = name !== "" && [`* ${name}(`, `*${name}(`, `* ${name}<`, `*${name}<`]
      .some((spelling) => text.includes(spelling));
    if (isGenerator) found.add(`${file} ${name}`);
  }
  return [...found].sort();
}

/** `src/core` has folders that stand for themselves. */
function roomOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return first === "core" ? `core/${second}` : first;
}

if (import.meta.main) {
  await using registry = new TestRegistry();
  const ways = [chat, chatElsewhere, chatServed, pullFrom(registry, await readTinyGguf()), gossip];
  for (const way of ways) {
    const functions = await functionsOf(way);
    const files = [...new Set(functions.map((key) => key.split(" ")[0] ?? ""))].sort();
    const rooms = Map.groupBy(files, roomOf);
    console.log(`${way.name}: ${files.length} files in ${rooms.size} folders`);
    for (const [room, inside] of rooms) {
      console.log(`  ${room} (${inside.length}): ${inside.join(" ")}`);
    }
    console.log(`  generators: ${(await generatorsAmong(functions)).join(", ")}`);
  }
}
