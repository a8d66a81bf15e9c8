import type { Command } from "commander";
import { RequestError } from "../../base/mod.ts";
import { type JsonObject, type NodeClient, objectsOf, textOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

interface UiOptions extends ClientOptions {
  readonly link?: boolean;
}

/** How long a link waits for its one login. */
const LINK_TTL = "5m";
const LINK_LABEL = "a link for one login";
const LOOPBACK = /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|$)/;
/** What opens a browser, by system. */
const OPENERS: Readonly<Record<string, readonly string[]>> = {
  darwin: ["open"],
  windows: ["explorer"],
  linux: ["xdg-open"],
};

export function define(command: Command, context: CliContext): void {
  command.option(
    "--link",
    "Print a link for another machine, good for one login within five minutes",
  );
  addClientOptions(command);
  addExamples(command, "odist ui", "odist ui --link", "odist ui --host http://192.168.1.10:11434");
  command.action(async (options: UiOptions) => {
    const client = clientFor(context, options);
    checkHttp(client);
    const isOwn = LOOPBACK.test(client.url);
    const url = options.link === true || !isOwn
      ? await loginLink(client, isOwn)
      : `${client.url}/ui`;
    if (options.json) return printJson(context, { url });
    const { out } = context.terminal;
    out.write(`${url}\n`);
    if (options.link === true || !out.isTerminal) return;
    await openBrowser(url);
  });
}

function checkHttp(client: NodeClient): void {
  if (/^https?:/.test(client.url)) return;
  throw new RequestError(
    "bad_usage",
    "A browser is shown the page over HTTP: name a node with --host http://HOST:PORT",
  );
}

/**
 * A link with a key of its own behind the `#`, which no server is told: the page takes it for a key of the browser's, and ends
 * it. Whoever finds the link later, in a history for one, gets nothing by it.
 */
async function loginLink(client: NodeClient, isOwn: boolean): Promise<string> {
  const origin = isOwn ? await outsideOrigin(client) : client.url;
  const wanted = { label: LINK_LABEL, ttl: LINK_TTL, scopes: ["use", "models", "admin", "join"] };
  const made = await client.ask("POST", "/api/cluster/keys", wanted);
  return `${origin}/ui#login=${textOf(made, "key_id") ?? ""}:${textOf(made, "key") ?? ""}`;
}

/** Where other machines find the node. @throws RequestError where none does. */
async function outsideOrigin(client: NodeClient): Promise<string> {
  const status = await client.ask("GET", "/api/cluster/status");
  const self = objectsOf(status, "members").find((member: JsonObject) =>
    textOf(member, "node_id") === textOf(status, "node_id")
  );
  const api = self && textOf(self, "api");
  if (api !== undefined) return api;
  throw new RequestError(
    "bad_usage",
    "No other machine reaches this node over HTTP: start it with odist serve --host 0.0.0.0",
  );
}

/** Quietly does nothing where there is no browser: the link is on the terminal. */
async function openBrowser(url: string): Promise<void> {
  const [program, ...args] = OPENERS[Deno.build.os] ?? [];
  if (program === undefined) return;
  try {
    const command = new Deno.Command(program, {
      args: [...args, url],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
    await command.spawn().status;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
