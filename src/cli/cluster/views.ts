import { formatBinaryBytes, formatTable, isEdgeError } from "../../base/mod.ts";
import {
  type JsonObject,
  type NodeClient,
  numberOf,
  objectOf,
  objectsOf,
  shardsText,
  textOf,
  textsOf,
} from "../client/mod.ts";
import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

/** Hex digits of an id that tell nodes apart for people; commands take them in the place of the whole id. */
const ID_CHARS = 8;

/** One member as its answers show it; names and versions come from other machines. */
export interface MemberView {
  readonly nodeId: string;
  readonly name: string;
  readonly address: string;
  readonly health: string;
  readonly role: string;
  readonly drained: boolean;
  readonly yields: boolean;
  readonly version: string;
  readonly matchIndex: number | undefined;
  readonly devices: readonly DeviceView[];
  /** Undefined until the member was heard. */
  readonly load: LoadView | undefined;
}

/** What a member computes with beside its cores. */
interface DeviceView {
  readonly name: string;
  readonly description: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly driver: string;
}

/** What a member said last of its work. */
export interface LoadView {
  readonly running: number;
  readonly waiting: number;
  readonly slots: number;
  readonly tokensPerSecond: number;
  readonly availableBytes: number;
  readonly models: readonly string[];
  /** Of the models that several nodes compute, by name, who computes which layers: `attic 0-15, cellar 16-29`. */
  readonly split: ReadonlyMap<string, string>;
}

/** The members in an answer of `/api/cluster/status` or `/members`. */
export function membersOf(answer: JsonObject): readonly MemberView[] {
  return objectsOf(answer, "members").map((member) => ({
    nodeId: safeText(member, "node_id"),
    name: safeText(member, "name"),
    address: safeText(member, "address"),
    health: safeText(member, "health"),
    role: safeText(member, "role"),
    drained: member["drained"] === true,
    yields: member["yields"] === true,
    version: safeText(member, "version"),
    matchIndex: numberOf(member, "match_index"),
    devices: objectsOf(member, "devices").map((device) => ({
      name: safeText(device, "name"),
      description: safeText(device, "description"),
      totalBytes: numberOf(device, "total_bytes") ?? 0,
      freeBytes: numberOf(device, "free_bytes") ?? 0,
      driver: safeText(device, "driver"),
    })),
    load: "load" in member ? loadOf(objectOf(member, "load")) : undefined,
  }));
}

function loadOf(load: JsonObject): LoadView {
  return {
    running: numberOf(load, "running_requests") ?? 0,
    waiting: numberOf(load, "waiting_requests") ?? 0,
    slots: numberOf(load, "slots") ?? 0,
    tokensPerSecond: numberOf(load, "tokens_per_second") ?? 0,
    availableBytes: numberOf(load, "available_bytes") ?? 0,
    models: textsOf(load, "loaded_models"),
    split: new Map(
      objectsOf(load, "split_models").map((model) => [
        safeText(model, "name"),
        shardsText(objectsOf(model, "shards")),
      ]),
    ),
  };
}

/** The text of a field, safe to print; "" where there is none. */
export function safeText(object: JsonObject, key: string): string {
  return textOf(object, key) ?? "";
}

/** The beginning of an id. */
export function shortNodeId(nodeId: string): string {
  return nodeId.slice(0, ID_CHARS);
}

/** `alive`, `alive, drained`, or `alive, yields to other programs`. */
export function healthText(member: MemberView): string {
  const notes = [
    member.health,
    ...member.drained ? ["drained"] : [],
    ...member.yields ? ["yields to other programs"] : [],
  ];
  return notes.join(", ");
}

/** What the members compute with beside their cores, a row each; none where no member has anything. */
export function deviceRows(members: readonly MemberView[]): readonly (readonly string[])[] {
  const rows = members.flatMap(({ name, devices }) =>
    devices.map((device) => [
      name,
      device.name,
      formatBinaryBytes(device.freeBytes),
      formatBinaryBytes(device.totalBytes),
      device.driver,
      device.description,
    ])
  );
  if (rows.length === 0) return [];
  return [["NODE", "DEVICE", "FREE", "MEMORY", "DRIVER", "WHAT IT IS"], ...rows];
}

/** Lines of a table whose empty cells show a dash. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const filled = rows.map((row) => row.map((cell) => cell === "" ? "-" : cell));
  return `${formatTable(filled).join("\n")}\n`;
}

/**
 * Where the members can be reached, the asked one first. What was just made is shown once, so nothing that goes wrong here may
 * keep it from being shown: a key with few scopes may not look at the cluster.
 */
export async function askAddresses(client: NodeClient): Promise<readonly string[]> {
  try {
    return memberAddresses(await client.ask("GET", "/api/cluster/status"));
  } catch (error) {
    if (!isEdgeError(error)) throw error;
    const [, address = "HOST"] = /^odist:\/\/(.*)$/.exec(client.url) ?? [];
    return [address];
  }
}

/** Where members that are up can be reached. The asked node first: it is the one that is surely up. */
function memberAddresses(status: JsonObject): readonly string[] {
  const self = textOf(status, "node_id");
  const members = membersOf(status).filter(({ nodeId, health }) =>
    nodeId === self || health === "alive"
  );
  const sorted = [
    ...members.filter(({ nodeId }) => nodeId === self),
    ...members.filter(({ nodeId }) => nodeId !== self),
  ];
  return sorted.map(({ address }) => address).filter((address) => address !== "");
}

/** Something that is done to one thing by its name, with nothing to tell but that it was done. */
export interface Deed {
  readonly summary: string;
  readonly argument: readonly [placeholder: string, description: string];
  readonly method: "POST" | "DELETE";
  /** `*` stands for the name. */
  readonly path: string;
  readonly past: string;
}

/** Makes the command do it. */
export function defineDeed(command: Command, context: CliContext, deed: Deed): void {
  const { method, path, past } = deed;
  summarize(command, deed.summary);
  command.argument(...deed.argument);
  addClientOptions(command);
  command.action(async (name: string, options: ClientOptions) => {
    await clientFor(context, options).ask(
      method,
      path.replace("*", () => encodeURIComponent(name)),
    );
    if (options.json) printJson(context, { [past]: name });
    else context.terminal.out.write(`${past} '${name}'\n`);
  });
}

/** Prints what is at a path as a table, or whole as JSON. */
export async function showTable(context: CliContext, options: ClientOptions, asked: {
  readonly path: string;
  readonly head: readonly string[];
  rowsOf(answer: JsonObject): readonly (readonly string[])[];
}): Promise<void> {
  const answer = await clientFor(context, options).ask("GET", asked.path);
  if (options.json) return printJson(context, answer);
  context.terminal.out.write(tableOf([asked.head, ...asked.rowsOf(answer)]));
}
