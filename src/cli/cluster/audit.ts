import type { Command } from "commander";
import { RequestError } from "../../base/mod.ts";
import { type JsonObject, objectsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { safeText, tableOf } from "./member_view.ts";

interface AuditOptions extends ClientOptions {
  readonly limit: string;
}

export function defineAudit(command: Command, context: CliContext): void {
  command.description("List who changed what in the cluster, and from where");
  command.option("-n, --limit <N>", "How many, the newest; a cluster remembers 1000", "100");
  addClientOptions(command);
  addExamples(command, "odist audit", "odist audit -n 1000 --json");
  command.action(async (options: AuditOptions) => {
    const { limit } = options;
    if (!/^\d{1,4}$/.test(limit)) {
      throw new RequestError("bad_usage", `--limit must be a number: current value is "${limit}"`);
    }
    const client = clientFor(context, options);
    const answer = await client.ask("GET", `/api/cluster/audit?limit=${limit}`);
    if (options.json) return printJson(context, answer);
    const rows = objectsOf(answer, "changes").map(rowOf);
    context.terminal.out.write(tableOf([["TIME", "WHO", "FROM", "CHANGE", "WHAT"], ...rows]));
  });
}

function rowOf(change: JsonObject): readonly string[] {
  return ["at", "who", "from", "action", "subject"].map((field) => safeText(change, field) || "-");
}
