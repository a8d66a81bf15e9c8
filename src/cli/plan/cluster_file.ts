import { findNearest, printable, printableJson, RequestError } from "../../base/mod.ts";
import { parseBytes } from "../../config/mod.ts";
import type { NodeMemory, ShardCluster, ShardNode } from "../../core/scheduler/mod.ts";

/** Weights read a second where the file names no speed; a plan says of which nodes. */
const SPEED_ASSUMED = { host: "10GB", device: "200GB" } as const;
/** From the leader and back where the file says nothing. */
const ROUND_TRIP_MS = 0.5;
const FILE_BYTES_MAX = 1024 * 1024;
const NODES_MAX = 64;
const NAME_CHARS_MAX = 64;
const MEMORY_BYTES_MAX = 2 ** 50;
const SPEED_BYTES_MAX = 1e15;
const ROUND_TRIP_MS_MAX = 60_000;

/** A cluster as a file describes it. */
export interface DescribedCluster extends ShardCluster {
  /** Names of the memories whose speed nobody gave, such as `desk` or `desk's device`. */
  readonly assumedSpeeds: readonly string[];
}

/** Reads `--nodes`. @throws RequestError `bad_usage` with what is wrong where. */
export async function readClusterFile(
  path: string,
  leader: string | undefined,
): Promise<DescribedCluster> {
  const { size } = await Deno.stat(path);
  if (size > FILE_BYTES_MAX) throw wrong("the file", `at most ${FILE_BYTES_MAX} bytes`, size);
  const text = await Deno.readTextFile(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RequestError("bad_usage", `${path} is no JSON: ${String(error)}`, { cause: error });
  }
  return parseCluster(value, leader);
}

/** `leader` wins over the one that is described; without either, the first node leads. */
export function parseCluster(value: unknown, leader: string | undefined): DescribedCluster {
  const file = fieldsOf(value, "the file", ["leader", "nodes"]);
  const { nodes: listed } = file;
  if (!Array.isArray(listed) || listed.length === 0 || listed.length > NODES_MAX) {
    throw wrong("nodes", `a list of 1 to ${NODES_MAX}`, listed);
  }
  const assumedSpeeds: string[] = [];
  const nodes = listed.map((one, index) => nodeOf(one, { index, assumedSpeeds }));
  const names = nodes.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw wrong("name", "one of its own for each node", twice);
  const chosen = leader ?? file["leader"] ?? names[0];
  if (typeof chosen !== "string" || !names.includes(chosen)) {
    throw wrong("leader", `one of ${names.join(", ")}`, chosen);
  }
  return { leader: chosen, nodes, assumedSpeeds };
}

function nodeOf(
  value: unknown,
  at: { readonly index: number; readonly assumedSpeeds: string[] },
): ShardNode {
  const where = `nodes[${at.index}]`;
  const node = fieldsOf(value, where, ["name", "memory", "speed", "device", "round_trip_ms"]);
  const { name, device } = node;
  const isName = typeof name === "string" && name !== "" && name.length <= NAME_CHARS_MAX &&
    printable(name) === name;
  if (!isName) throw wrong(`${where}.name`, `1 to ${NAME_CHARS_MAX} printable characters`, name);
  const host = memoryOf(node, { where, kind: "host" });
  if (node["speed"] === undefined) at.assumedSpeeds.push(name);
  const described = { name, host, roundTripMs: roundTripOf(node["round_trip_ms"], where) };
  if (device === undefined) return described;
  const place = { where: `${where}.device`, kind: "device" } as const;
  const fields = fieldsOf(device, place.where, ["memory", "speed"]);
  if (fields["speed"] === undefined) at.assumedSpeeds.push(`${name}'s device`);
  return { ...described, device: memoryOf(fields, place) };
}

function memoryOf(
  fields: Readonly<Record<string, unknown>>,
  at: { readonly where: string; readonly kind: "host" | "device" },
): NodeMemory {
  const freeBytes = sizeOf(fields["memory"]);
  if (!(freeBytes >= 0 && freeBytes <= MEMORY_BYTES_MAX)) {
    throw wrong(`${at.where}.memory`, 'free memory such as "24GiB"', fields["memory"]);
  }
  const bytesPerSecond = sizeOf(fields["speed"] ?? SPEED_ASSUMED[at.kind]);
  if (!(bytesPerSecond >= 1 && bytesPerSecond <= SPEED_BYTES_MAX)) {
    throw wrong(`${at.where}.speed`, 'bytes a second such as "20GB"', fields["speed"]);
  }
  return { freeBytes, bytesPerMs: bytesPerSecond / 1_000 };
}

function roundTripOf(value: unknown, where: string): number {
  const ms = value ?? ROUND_TRIP_MS;
  if (typeof ms === "number" && ms >= 0 && ms <= ROUND_TRIP_MS_MAX) return ms;
  throw wrong(`${where}.round_trip_ms`, `0 to ${ROUND_TRIP_MS_MAX}`, value);
}

/** NaN for what is no size. */
function sizeOf(value: unknown): number {
  if (typeof value === "number") return Number.isInteger(value) ? value : NaN;
  return typeof value === "string" ? parseBytes(value) : NaN;
}

/** A key that nobody reads is a mistake: what it says would be left out of the plan. */
function fieldsOf(
  value: unknown,
  where: string,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(where, `an object with ${known.join(", ")}`, value);
  }
  const fields = Object.fromEntries(Object.entries(value));
  const unknown = Object.keys(fields).find((key) => !known.includes(key));
  if (unknown === undefined) return fields;
  const nearest = findNearest(unknown, known);
  const hint = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
  throw wrong(where, `an object with ${known.join(", ")} only`, `${unknown}${hint}`);
}

function wrong(what: string, wanted: string, present: unknown): RequestError {
  const shown = typeof present === "string" ? present : printableJson(present) || "nothing";
  return new RequestError(
    "bad_usage",
    `--nodes: ${what} must be ${wanted}: current value is ${shown.slice(0, 200)}`,
  );
}
