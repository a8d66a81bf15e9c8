import type { Command } from "commander";
import { formatBinaryBytes } from "../../base/mod.ts";
import type { CliContext, ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import {
  healthText,
  type LoadView,
  membersOf,
  type MemberView,
  shortNodeId,
  showTable,
} from "./views.ts";

export function define(command: Command, context: CliContext): void {
  command.description("List the members of the cluster and what they do");
  addClientOptions(command);
  addExamples(command, "odist members");
  command.action((options: ClientOptions) =>
    showTable(context, options, {
      path: "/api/cluster/members",
      head: ["NAME", "ID", "HEALTH", "ADDRESS", "SLOTS", "WAITING", "FREE", "MODELS"],
      rowsOf: (answer) => membersOf(answer).map(row),
    })
  );
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
