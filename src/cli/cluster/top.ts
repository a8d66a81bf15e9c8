import type { Command } from "commander";
import {
  errorMessage,
  formatBinaryBytes,
  formatTable,
  printableText,
  RequestError,
} from "../../base/mod.ts";
import { type JsonObject, type NodeClient, numberOf, objectsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson, type Style, type Terminal } from "../terminal/mod.ts";
import {
  deviceRows,
  healthText,
  type LoadView,
  membersOf,
  type MemberView,
  safeText,
} from "./views.ts";

/** Gossip brings news about as often. */
const REFRESH_MS = 1_000;
const STATUS_PATH = "/api/cluster/status";
const QUEUE_PATH = "/api/cluster/queue";
/** Rows of the queue that are shown. */
const QUEUE_ROWS_MAX = 20;
/** A screen of its own without a cursor, and back. */
const SCREEN_BEGIN = "\x1b[?1049h\x1b[?25l";
const SCREEN_END = "\x1b[?25h\x1b[?1049l";
const SYNC_BEGIN = "\x1b[?2026h\x1b[H";
const SYNC_END = "\x1b[J\x1b[?2026l";
/** The last two are Ctrl-C and Ctrl-D. */
const END_KEYS = ["q", "Q", "\x03", "\x04"];

export function define(command: Command, context: CliContext): void {
  command.description("Watch nodes, models, slots, tokens per second and queues until q");
  addClientOptions(command);
  addExamples(command, "odist top");
  command.action(async (options: ClientOptions) => {
    const client = clientFor(context, options);
    const { terminal } = context;
    if (terminal.out.isTerminal && terminal.input.isTerminal && !options.json) {
      return await watch(client, terminal);
    }
    const picture = await askPicture(client);
    if (options.json) return printJson(context, { ...picture.status, ...picture.queue });
    terminal.out.write(`${renderTop(picture, terminal.out.style).join("\n")}\n`);
  });
}

interface Picture {
  readonly status: JsonObject;
  readonly queue: JsonObject;
}

async function askPicture(client: NodeClient): Promise<Picture> {
  const [status, queue] = await Promise.all([
    client.ask("GET", STATUS_PATH),
    client.ask("GET", QUEUE_PATH).catch(untold),
  ]);
  return { status, queue };
}

/** Whose requests wait is for who rules the cluster; nodes of an earlier version don't know. */
function untold(error: unknown): JsonObject {
  if (error instanceof RequestError) return {};
  throw error;
}

/** Repaints each second, and at once at any key but those that end it. */
async function watch(client: NodeClient, terminal: Terminal): Promise<void> {
  // A node that can't be reached at the start is a failed command; later it is news to be shown.
  let lines = renderTop(await askPicture(client), terminal.out.style);
  const keys = new Keys(terminal);
  terminal.input.setRaw(true);
  terminal.out.write(SCREEN_BEGIN);
  try {
    for (;;) {
      paint(terminal, lines);
      if (await keys.within(REFRESH_MS) === "end") return;
      const picture = look(client, terminal);
      // A node that hangs must not keep anyone from leaving.
      const first = await Promise.race([picture, keys.ended]);
      if (first === "end") return;
      lines = first;
    }
  } finally {
    terminal.out.write(SCREEN_END);
    terminal.input.setRaw(false);
  }
}

async function look(client: NodeClient, terminal: Terminal): Promise<readonly string[]> {
  const { style } = terminal.out;
  try {
    return renderTop(await askPicture(client), style);
  } catch (error) {
    return [style.red(printableText(errorMessage(error)))];
  }
}

function paint(terminal: Terminal, lines: readonly string[]): void {
  const hint = terminal.out.style.grey("q ends");
  const room = terminal.rows() - 1;
  const shown = [...lines.slice(0, room - 1), "", hint].slice(0, room);
  // Lines longer than the terminal are cut by the terminal itself: wrapping is off while they are written.
  const body = shown.map((line) => `${line}\x1b[K\r\n`).join("");
  terminal.out.write(`${SYNC_BEGIN}\x1b[?7l${body}\x1b[?7h${SYNC_END}`);
}

/** The keyboard, of which at most one read is under way. */
class Keys {
  /** Resolves when a key that ends was pressed, or when there is no more input. */
  readonly ended: Promise<"end">;
  #pressed = Promise.withResolvers<void>();

  constructor(terminal: Terminal) {
    this.ended = this.#read(terminal);
  }

  /** `key` at any key, `end` at one that ends, `late` when the time is over. */
  async within(timeMs: number): Promise<"key" | "end" | "late"> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), timeMs);
    });
    const key = this.#pressed.promise.then(() => "key" as const);
    try {
      return await Promise.race([this.ended, key, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(terminal: Terminal): Promise<"end"> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(64);
    for (;;) {
      const count = await terminal.input.read(buffer);
      if (count === null) return "end";
      const text = decoder.decode(buffer.subarray(0, count));
      if (END_KEYS.some((key) => text.includes(key))) return "end";
      this.#pressed.resolve();
      this.#pressed = Promise.withResolvers<void>();
    }
  }
}

/** What `top` shows of an answer of `/api/cluster/status`, line by line. */
function renderTop({ status, queue }: Picture, style: Style): readonly string[] {
  const members = membersOf(status);
  return [
    style.bold(titleOf(status, members)),
    totalsOf(members),
    "",
    ...paintHealth(formatTable([NODE_HEAD, ...members.map(nodeRow)]), members, style),
    ...deviceLines(members),
    ...modelLines(members),
    ...queueLines(objectsOf(queue, "queue")),
  ];
}

/** Whose requests wait and run on the node that was asked. */
function queueLines(rows: readonly JsonObject[]): readonly string[] {
  if (rows.length === 0) return [];
  const shown = rows.slice(0, QUEUE_ROWS_MAX).map((row) => [
    safeText(row, "tenant") || "-",
    ...["weight", "waiting", "running"].map((name) => String(numberOf(row, name) ?? 0)),
  ]);
  const more = rows.length - shown.length;
  return [
    "",
    ...formatTable([["QUEUE HERE", "WEIGHT", "WAITING", "RUNNING"], ...shown]),
    ...(more > 0 ? [`and ${more} more`] : []),
  ];
}

const NODE_HEAD = ["NODE", "HEALTH", "ROLE", "SLOTS", "WAITING", "TOKENS/S", "FREE", "MODELS"];

function titleOf(status: JsonObject, members: readonly MemberView[]): string {
  const leader = members.find(({ nodeId }) => nodeId === safeText(status, "leader"))?.name;
  const health = safeText(status, "health").replaceAll("_", " ");
  const term = numberOf(status, "term") ?? 0;
  const applied = numberOf(status, "applied_index") ?? 0;
  return `odist ${safeText(status, "cluster_id")}: ${health}, leader ${leader ?? "none"}, ` +
    `term ${term}, log ${applied}`;
}

function totalsOf(members: readonly MemberView[]): string {
  const loads = members.filter(({ health }) => health === "alive")
    .flatMap(({ load }) => load ?? []);
  const sum = (pick: (load: LoadView) => number) =>
    loads.reduce((total, load) => total + pick(load), 0);
  const nodes = members.length === 1 ? "1 node" : `${members.length} nodes`;
  return `${nodes}, ${sum(({ running }) => running)} of ${sum(({ slots }) => slots)} slots, ` +
    `${sum(({ waiting }) => waiting)} waiting, ` +
    `${sum(({ tokensPerSecond }) => tokensPerSecond).toFixed(1)} tokens/s`;
}

function nodeRow(member: MemberView): readonly string[] {
  const { name, role, load } = member;
  const cells = load === undefined ? ["-", "-", "-", "-", "-"] : [
    `${load.running}/${load.slots}`,
    String(load.waiting),
    load.tokensPerSecond.toFixed(1),
    formatBinaryBytes(load.availableBytes),
    load.models.length === 0 ? "-" : String(load.models.length),
  ];
  return [name, healthText(member), role, ...cells];
}

/** Whole lines take the colour: cells are aligned by what they show, not by what they hold. */
function paintHealth(
  lines: readonly string[],
  members: readonly MemberView[],
  style: Style,
): readonly string[] {
  const colours: Readonly<Record<string, (text: string) => string>> = {
    alive: (text) => text,
    pending: style.grey,
    suspect: style.yellow,
  };
  return lines.map((line, index) => {
    const member = members[index - 1];
    return member === undefined ? line : (colours[member.health] ?? style.red)(line);
  });
}

function deviceLines(members: readonly MemberView[]): readonly string[] {
  const rows = deviceRows(members);
  return rows.length === 0 ? [] : ["", ...formatTable(rows)];
}

function modelLines(members: readonly MemberView[]): readonly string[] {
  const holders = new Map<string, string[]>();
  for (const { name, load } of members) {
    for (const model of load?.models ?? []) {
      holders.set(model, [...holders.get(model) ?? [], load?.split.get(model) ?? name]);
    }
  }
  if (holders.size === 0) return [];
  const rows = [...holders].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([model, names]) => [model, names.join(", ")]);
  return ["", ...formatTable([["LOADED MODEL", "NODES"], ...rows])];
}
