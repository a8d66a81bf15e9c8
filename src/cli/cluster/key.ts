import type { Command } from "commander";
import { formatRelativeTime, printable } from "../../base/mod.ts";
import { SCOPES } from "../../protocol/mod.ts";
import { objectsOf, textOf, textsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { askAddresses, defineDeed, safeText, showTable } from "./views.ts";

interface CreateOptions extends ClientOptions {
  readonly label: string;
  readonly scope: string;
  readonly expires: string;
}

export function define(command: Command, context: CliContext): void {
  command.description("Make, list and revoke the keys with which this cluster is used from afar");
  addExamples(
    command,
    "odist key create --label laptop",
    "odist key create --label ci --scope use,models --expires 720h",
    "odist key list",
  );
  defineCreate(command.command("create"), context);
  defineList(command.command("list"), context);
  defineDeed(command.command("revoke"), context, {
    summary: "Make a key useless, at once",
    argument: ["<ID>", "Id of the key, from the list"],
    method: "DELETE",
    path: "/api/cluster/keys/*",
    past: "revoked",
  });
}

function defineCreate(command: Command, context: CliContext): void {
  summarize(command, "Make a key and print a command that uses it");
  command.option("--label <TEXT>", "What the list of keys calls it, at most 64 characters", "");
  command.option(
    "--scope <LIST>",
    `What the key may do: ${SCOPES.join(", ")}; several with commas, or all`,
    "use",
  );
  command.option(
    "--expires <DURATION>",
    "How long the key is valid, 1s to 87600h; 0 for ever",
    "0",
  );
  addClientOptions(command);
  command.action(async (options: CreateOptions) => {
    const client = clientFor(context, options);
    const { label, expires } = options;
    const scopes = options.scope === "all" ? SCOPES : options.scope.split(",");
    const wanted = { label, scopes, ...(expires === "0" ? {} : { ttl: expires }) };
    const made = await client.ask("POST", "/api/cluster/keys", wanted);
    if (options.json) return printJson(context, made);
    const [address = ""] = await askAddresses(client);
    const { out, err } = context.terminal;
    const command = firstCommand(textsOf(made, "scopes"));
    out.write(`ODIST_KEY=${safeText(made, "key")} odist ${command} --host odist://${address}\n`);
    const granted = textsOf(made, "scopes").map(printable).join(", ");
    err.write(
      `Run it on any machine, like every other command that its scopes allow (${granted}). ` +
        "The key is not shown again.\n",
    );
  });
}

/** Something that the key may do. */
function firstCommand(scopes: readonly string[]): string {
  if (scopes.includes("use")) return "status";
  if (scopes.includes("admin")) return "audit";
  return scopes.includes("join") ? "token create" : "pull MODEL";
}

function defineList(command: Command, context: CliContext): void {
  summarize(command, "List the keys; what they are is never shown again");
  addClientOptions(command);
  const when = (text: string | undefined) =>
    text === undefined
      ? "never"
      : formatRelativeTime({ atMs: Date.parse(text), nowMs: context.nowMs() });
  command.action((options: ClientOptions) =>
    showTable(context, options, {
      path: "/api/cluster/keys",
      head: ["ID", "LABEL", "MADE", "EXPIRES", "SCOPES", "LAST USED"],
      rowsOf: (answer) =>
        objectsOf(answer, "keys").map((key) => [
          safeText(key, "key_id"),
          safeText(key, "label"),
          when(textOf(key, "created_at")),
          when(textOf(key, "expires_at")),
          textsOf(key, "scopes").map(printable).join(","),
          when(textOf(key, "last_used_at")),
        ]),
    })
  );
}
