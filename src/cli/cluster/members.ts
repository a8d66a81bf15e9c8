import type { Command } from "commander";
import { formatBinaryBytes } from "../../base/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import {
  healthText,
  type LoadView,
  membersOf,
  type MemberView,
  shortNodeId,
  tableOf,
} from "./member_view.ts";

export function defineMembers(command: Command, context: CliContext): void {
  command.description("List the members of the cluster and what they do");
  addClientOptions(command);
  addExamples(command, "odist members");
  command.action(async (options: ClientOptions) => {
    const answer = await clientFor(context, options).ask("GET", "/api/cluster/members");
    if (options.json) return printJson(context, answer);
    const head = ["NAME", "ID", "HEALTH", "ADDRESS", "SLOTS", "WAITING", "FREE", "MODELS"];
    context.terminal.out.write(tableOf([head, ...membersOf(answer).map(row)]));
  });
}

function row(member: MemberView): readonly string[] {
  const { name, nodeId, address, load } = member;
  const cells = load === undefined ? ["", "", "", ""] : loadCells(load);
  return [name, shortNodeId(nodeId), healthText(member), address, ...cells];
}

function loadCells(load: LoadView): readonly string[] {
  return [
    `${load.running}/${load.slots}`,
    String(load.waiting),
    formatBinaryBytes(load.availableBytes),
    load.models.join(", "),
  ];
}
