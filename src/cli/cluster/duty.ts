import type { Command } from "commander";
import { numberOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { defineDeed, safeText } from "./views.ts";

/** `drain` and `undrain`. */
export function defineDrain(command: Command, context: CliContext): void {
  const verb = command.name();
  const summary = command.summary();
  defineDeed(command, context, {
    summary,
    argument: ["<NODE>", "Name of the node, its id, or the beginning of it"],
    method: "POST",
    path: `/api/cluster/members/*/${verb}`,
    past: `${verb}ed`,
  });
  if (verb === "drain") command.description(`${summary}; running answers go on`);
  else command.description("Send requests to a drained node again");
  addExamples(command, `odist ${verb} garage`);
}

const NODE = ["[NODE]", "Name of the node, its id, or the beginning of it; default: the asked one"];

/** `sleep`. */
export function defineSleep(command: Command, context: CliContext): void {
  summarize(command, command.summary());
  command.description(
    "Put the machine of a node to sleep, once nothing runs on it and its vote is another's; refused where it is needed",
  );
  command.argument(NODE[0] ?? "", NODE[1]);
  addClientOptions(command);
  command.action(async (given: string | undefined, options: ClientOptions) => {
    const client = clientFor(context, options);
    const node = given ?? safeText(await client.ask("GET", "/api/cluster/status"), "name");
    await client.ask("POST", `/api/cluster/members/${encodeURIComponent(node)}/sleep`);
    if (options.json) printJson(context, { asleep: node });
    else context.terminal.out.write(`'${node}' sleeps\n`);
  });
  addExamples(command, "odist sleep", "odist sleep garage");
}

/** `wake`. */
export function defineWake(command: Command, context: CliContext): void {
  summarize(command, command.summary());
  command.description(
    "Wake the machine of a node through another one of its network, and wait for it",
  );
  command.argument("<NODE>", "Name of the node, its id, or the beginning of it");
  addClientOptions(command);
  command.action(async (node: string, options: ClientOptions) => {
    const path = `/api/cluster/members/${encodeURIComponent(node)}/wake`;
    const tookMs = numberOf(await clientFor(context, options).ask("POST", path), "took_ms") ?? 0;
    if (options.json) printJson(context, { awake: node, took_ms: tookMs });
    else context.terminal.out.write(`'${node}' is awake, after ${(tookMs / 1_000).toFixed(1)} s\n`);
  });
  addExamples(command, "odist wake garage");
}
