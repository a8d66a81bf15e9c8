import { formatBinaryBytes, formatTable } from "../../base/mod.ts";
import { type JsonObject, numberOf } from "../client/mod.ts";
import type { Style } from "../terminal/mod.ts";
import { healthText, type LoadView, membersOf, type MemberView, safeText } from "./views.ts";

/** What `top` shows of an answer of `/api/cluster/status`, line by line. */
export function renderTop(status: JsonObject, style: Style): readonly string[] {
  const members = membersOf(status);
  return [
    style.bold(titleOf(status, members)),
    totalsOf(members),
    "",
    ...paintHealth(formatTable([NODE_HEAD, ...members.map(nodeRow)]), members, style),
    ...modelLines(members),
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

function modelLines(members: readonly MemberView[]): readonly string[] {
  const holders = new Map<string, string[]>();
  for (const { name, load } of members) {
    for (const model of load?.models ?? []) {
      holders.set(model, [...holders.get(model) ?? [], name]);
    }
  }
  if (holders.size === 0) return [];
  const rows = [...holders].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([model, names]) => [model, names.join(", ")]);
  return ["", ...formatTable([["LOADED MODEL", "NODES"], ...rows])];
}
