import type { Command } from "commander";
import { RequestError } from "../../base/mod.ts";
import { type JsonObject, objectsOf } from "../client/mod.ts";
import type { CliContext, ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { safeText, showTable } from "./views.ts";

interface AuditOptions extends ClientOptions {
  readonly limit: string;
}

export function define(command: Command, context: CliContext): void {
  command.description("List who changed what in the cluster, and from where");
  command.option("-n, --limit <N>", "How many, the newest; a cluster remembers 1000", "100");
  addClientOptions(command);
  addExamples(command, "odist audit", "odist audit -n 1000 --json");
  command.action(async (options: AuditOptions) => {
    const { limit } = options;
    if (!/^\d{1,4}$/.test(limit)) {
      throw new RequestError("bad_usage", `--limit must be a number: current value is "${limit}"`);
    }
    await showTable(context, options, {
      path: `/api/cluster/audit?limit=${limit}`,
      head: ["TIME", "WHO", "FROM", "CHANGE", "WHAT"],
      rowsOf: (answer) => objectsOf(answer, "changes").map(rowOf),
    });
  });
}

function rowOf(change: JsonObject): readonly string[] {
  return ["at", "who", "from", "action", "subject"].map((field) => safeText(change, field) || "-");
}
