import type { Command } from "commander";
import { formatTable } from "../../base/mod.ts";
import { type JsonObject, numberOf, objectOf, textsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { compareVersions } from "../installed/mod.ts";
import {
  deviceRows,
  healthText,
  membersOf,
  type MemberView,
  safeText,
  shortNodeId,
  tableOf,
} from "./views.ts";

export function define(command: Command, context: CliContext): void {
  command.description("Show the cluster as one node sees it");
  addClientOptions(command);
  addExamples(command, "odist status", "odist status --json");
  command.action(async (options: ClientOptions) => {
    const status = await clientFor(context, options).ask("GET", "/api/cluster/status");
    if (options.json) return printJson(context, status);
    const head = statusHead(status, new Date(context.nowMs()));
    context.terminal.out.write(`${head}\n\n${memberTable(status)}`);
    const devices = deviceRows(membersOf(status));
    if (devices.length > 0) context.terminal.out.write(`\n${tableOf(devices)}`);
    const skew = skewText(membersOf(status), context.version);
    if (skew !== "") context.terminal.out.write(`\n${skew}\n`);
    for (const warning of textsOf(status, "warnings")) {
      context.terminal.out.write(`\nWarning: ${warning}\n`);
    }
  });
}

function statusHead(status: JsonObject, now: Date): string {
  const members = membersOf(status);
  const leader = members.find(({ nodeId }) => nodeId === safeText(status, "leader"));
  const committed = numberOf(status, "committed_index") ?? 0;
  const applied = numberOf(status, "applied_index") ?? 0;
  const count = members.length === 1 ? "1 member" : `${members.length} members`;
  const term = numberOf(status, "term") ?? 0;
  return formatTable([
    ["cluster", safeText(status, "cluster_id")],
    ["health", `${safeText(status, "health").replaceAll("_", " ")}, ${count}`],
    ...("changes" in status ? worksRows(status, now) : []),
    ["leader", leader === undefined ? `none, term ${term}` : `${leader.name}, term ${term}`],
    ["log", `committed ${committed}, applied ${applied}`],
    ["state", safeText(status, "state_hash").slice(0, 16)],
    ["asked", `${safeText(status, "name")}, ${shortNodeId(safeText(status, "node_id"))}`],
  ]).join("\n");
}

/** Who runs another version than the newest there is; "" where all run one. `own` is this command's. */
function skewText(members: readonly MemberView[], own: string): string {
  const known = members.filter(({ version }) => version !== "");
  const versions = [own, ...known.map(({ version }) => version)].sort(compareVersions);
  const newest = versions.at(-1) ?? own;
  const older = known.filter(({ version }) => compareVersions(version, newest) < 0)
    .map(({ name, version }) => `${name} runs ${version}`);
  if (compareVersions(own, newest) < 0) older.push(`this command is ${own}`);
  if (older.length === 0) return "";
  return `Versions differ, the newest is ${newest}: ${
    older.join(", ")
  } (odist upgrade, one machine after the other)`;
}

/** What works and what doesn't; an older node does not say. */
function worksRows(status: JsonObject, now: Date): readonly (readonly string[])[] {
  return [
    ["answers", status["answers"] === false ? "no" : "yes"],
    ["changes", changesText(objectOf(status, "changes"), now)],
  ];
}

/** `yes`, or `no, 1 of 2 voters is down since 14:02`. */
function changesText(changes: JsonObject, now: Date): string {
  if (changes["possible"] !== false) return "yes";
  const reason = safeText(changes, "reason");
  const atMs = Date.parse(safeText(changes, "since"));
  return `no, ${reason}${Number.isNaN(atMs) ? "" : ` since ${clockTime(new Date(atMs), now)}`}`;
}

/** The time of day here, with the date when it was not today. */
function clockTime(at: Date, now: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const isToday = at.toDateString() === now.toDateString();
  return isToday
    ? time
    : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

function memberTable(status: JsonObject): string {
  const rows = membersOf(status).map((member) => [
    member.name,
    shortNodeId(member.nodeId),
    healthText(member),
    member.role,
    member.version,
    member.address,
    String(member.matchIndex ?? ""),
  ]);
  return tableOf([["NAME", "ID", "HEALTH", "ROLE", "VERSION", "ADDRESS", "ENTRIES"], ...rows]);
}
