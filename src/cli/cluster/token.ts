import type { Command } from "commander";
import { formatRelativeTime, RequestError } from "../../base/mod.ts";
import { type JsonObject, numberOf, objectsOf, textOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { askAddresses, defineDeed, safeText, showTable } from "./views.ts";

/** Addresses in a printed join command: one that answers is enough, so a few will do. */
const JOIN_ADDRESSES_MAX = 3;

interface CreateOptions extends ClientOptions {
  readonly ttl: string;
  readonly uses: string;
  readonly out?: string;
}

export function define(command: Command, context: CliContext): void {
  command.description("Make, list and revoke the tokens with which nodes join the cluster");
  addExamples(
    command,
    "odist token create",
    "odist token create --ttl 24h --uses 10 --json",
    "odist token create --uses 2 --out ./odist-token",
    "odist token list",
    "odist token revoke 1f00a9c2",
  );
  defineCreate(command.command("create"), context);
  defineList(command.command("list"), context);
  defineDeed(command.command("revoke"), context, {
    summary: "Make a token useless; nodes that joined with it stay",
    argument: ["<ID>", "Id of the token, from the list"],
    method: "DELETE",
    path: "/api/cluster/tokens/*",
    past: "revoked",
  });
}

function defineCreate(command: Command, context: CliContext): void {
  summarize(command, "Make a token and print the command with which a node joins");
  command.option("--ttl <DURATION>", "How long the token is valid, 1s to 8760h", "1h");
  command.option("--uses <N>", "How many nodes may join with it, 1 to 1000", "1");
  command.option(
    "--out <FILE>",
    "Write the token there, for --token-file, and print nothing of it",
  );
  addClientOptions(command);
  command.action(async (options: CreateOptions) => {
    const client = clientFor(context, options);
    const uses = Number(options.uses);
    if (!Number.isInteger(uses)) {
      throw new RequestError(
        "bad_usage",
        `--uses must be a number: current value is "${options.uses}"`,
      );
    }
    const made = await client.ask("POST", "/api/cluster/tokens", { ttl: options.ttl, uses });
    if (options.out !== undefined) return writeToken(options.out, safeText(made, "token"));
    if (options.json) return printJson(context, made);
    const addresses = await askAddresses(client);
    const { out, err } = context.terminal;
    out.write(
      // Not as an argument: those are for everybody on a machine to see.
      `ODIST_TOKEN=${safeText(made, "token")} odist serve --join ${
        addresses.slice(0, JOIN_ADDRESSES_MAX).join(",")
      }\n`,
    );
    err.write(`${tokenTerms(made, context.nowMs())}\n`);
  });
}

/** For its owner alone; readers see the old token or the whole new one. */
async function writeToken(path: string, token: string): Promise<void> {
  const unfinished = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(unfinished, `${token}\n`, { mode: 0o600, createNew: true });
  await Deno.rename(unfinished, path);
}

function defineList(command: Command, context: CliContext): void {
  summarize(command, "List the tokens that can still be used; what they are is never shown again");
  addClientOptions(command);
  command.action((options: ClientOptions) =>
    showTable(context, options, {
      path: "/api/cluster/tokens",
      head: ["ID", "USES LEFT", "EXPIRES"],
      rowsOf: (answer) =>
        objectsOf(answer, "tokens").map((token) => [
          safeText(token, "token_id"),
          String(numberOf(token, "uses_left") ?? ""),
          formatRelativeTime({ atMs: expiryMs(token), nowMs: context.nowMs() }),
        ]),
    })
  );
}

function tokenTerms(token: JsonObject, nowMs: number): string {
  const uses = numberOf(token, "uses_left") ?? 0;
  const expires = formatRelativeTime({ atMs: expiryMs(token), nowMs }).toLowerCase();
  const nodes = uses === 1 ? "one node" : `${uses} nodes`;
  return `Run it on the machine that joins. Good for ${nodes}; expires ${expires}.`;
}

function expiryMs(token: JsonObject): number {
  return Date.parse(textOf(token, "expires_at") ?? "");
}
