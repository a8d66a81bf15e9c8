import type { Command } from "commander";
import { formatRelativeTime, printable, RequestError } from "../../base/mod.ts";
import { SCOPES } from "../../protocol/mod.ts";
import { type JsonObject, numberOf, objectOf, objectsOf, textOf, textsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { askAddresses, defineDeed, safeText, showTable } from "./views.ts";

interface CreateOptions extends ClientOptions, LimitOptions {
  readonly label: string;
  readonly scope: string;
  readonly expires: string;
}

/** As given on the command line; absent = stays as it is. */
interface LimitOptions {
  readonly weight?: string;
  readonly requestsPerMinute?: string;
  readonly tokensPerDay?: string;
  readonly concurrent?: string;
}

export function define(command: Command, context: CliContext): void {
  command.description("Make, list and revoke the keys with which this cluster is used from afar");
  addExamples(
    command,
    "odist key create --label laptop",
    "odist key create --label ci --scope use,models --expires 720h",
    "odist key limit 0f1e2d3c4b --weight 3 --tokens-per-day 200000",
    "odist key list",
    "odist key revoke 0f1e2d3c4b",
  );
  defineCreate(command.command("create"), context);
  defineList(command.command("list"), context);
  defineLimit(command.command("limit"), context);
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
  addLimitOptions(command);
  addClientOptions(command);
  command.action(async (options: CreateOptions) => {
    const client = clientFor(context, options);
    const { label, expires } = options;
    const scopes = options.scope === "all" ? SCOPES : options.scope.split(",");
    const ttl = expires === "0" ? {} : { ttl: expires };
    const wanted = { label, scopes, ...ttl, ...limitsOf(options) };
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

function addLimitOptions(command: Command): void {
  command.option("--weight <N>", "Its part when not all can be served, 1 to 1000");
  command.option("--requests-per-minute <N>", "Requests a minute; 0 for any");
  command.option("--tokens-per-day <N>", "Tokens of prompts and answers a day (UTC); 0 for any");
  command.option("--concurrent <N>", "Requests at once; 0 for any");
}

function limitsOf(options: LimitOptions): Readonly<Record<string, number>> {
  const given = {
    weight: options.weight,
    requests_per_minute: options.requestsPerMinute,
    tokens_per_day: options.tokensPerDay,
    concurrent_requests: options.concurrent,
  };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, wholeNumber(name, value)]]
    ),
  );
}

/** @throws RequestError `bad_usage`. */
function wholeNumber(name: string, value: string): number {
  if (/^\d{1,10}$/.test(value)) return Number(value);
  const option = name.replaceAll("_", "-");
  throw new RequestError("bad_usage", `--${option} must be a whole number: got "${value}"`);
}

function defineLimit(command: Command, context: CliContext): void {
  summarize(command, "Say what a key may ask for; what is not named stays");
  command.argument("<ID>", "Id of the key, from the list");
  addLimitOptions(command);
  addClientOptions(command);
  command.action(async (id: string, options: ClientOptions & LimitOptions) => {
    const path = `/api/cluster/keys/${encodeURIComponent(id)}/limits`;
    const limits = await clientFor(context, options).ask("PUT", path, limitsOf(options));
    if (options.json) return printJson(context, limits);
    context.terminal.out.write(`limited '${id}': ${limitsText(limits)}\n`);
  });
}

/** What differs from a key without limits. */
function limitsText(limits: JsonObject): string {
  const [weight, requests, tokens, concurrent] = [
    "weight",
    "requests_per_minute",
    "tokens_per_day",
    "concurrent_requests",
  ].map((name) => numberOf(limits, name) ?? (name === "weight" ? 1 : 0));
  const parts = [
    weight === 1 ? [] : `weight ${weight}`,
    requests === 0 ? [] : `${requests}/min`,
    tokens === 0 ? [] : `${tokens} tokens/day`,
    concurrent === 0 ? [] : `${concurrent} at once`,
  ].flat();
  return parts.length === 0 ? "-" : parts.join(", ");
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
      head: ["ID", "LABEL", "MADE", "EXPIRES", "SCOPES", "LIMITS", "LAST USED"],
      rowsOf: (answer) =>
        objectsOf(answer, "keys").map((key) => [
          safeText(key, "key_id"),
          safeText(key, "label"),
          when(textOf(key, "created_at")),
          when(textOf(key, "expires_at")),
          textsOf(key, "scopes").map(printable).join(","),
          limitsText(objectOf(key, "limits")),
          when(textOf(key, "last_used_at")),
        ]),
    })
  );
}
