import type { Command } from "commander";
import { RequestError } from "../../base/mod.ts";
import { type JsonObject, numberOf, objectsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { safeText, tableOf } from "./views.ts";

/** Bytes of an answer to a question that are looked at. */
const ANSWER_BYTES = 256;

export function define(command: Command, context: CliContext): void {
  command.description(
    "Let the asked node go on alone, as a new cluster with all that it knows, when the voters of its cluster are lost for good",
  );
  command.option("--yes", "Ask nothing");
  addClientOptions(command);
  addExamples(command, "odist recover", "odist recover --yes");
  command.action(async (options: ClientOptions & { readonly yes?: boolean }) => {
    const client = clientFor(context, options);
    const plan = await client.ask("GET", "/api/cluster/recovery");
    if (plan["possible"] !== true) {
      throw new RequestError("conflict", `cannot recover: ${safeText(plan, "reason")}`);
    }
    if (!options.json) context.terminal.out.write(planText(plan));
    if (options.yes !== true && !await isAgreed(context)) {
      throw new RequestError("bad_usage", "nothing was changed; to be asked nothing: --yes");
    }
    const done = await client.ask("POST", "/api/cluster/recover");
    if (options.json) return printJson(context, done);
    context.terminal.out.write(
      `the node at ${client.url} stops; start it again, and it is the only voter of a new cluster\n` +
        "Then let the others join it: odist token create prints the command\n",
    );
  });
}

function planText(plan: JsonObject): string {
  const left = objectsOf(plan, "left_behind");
  const rows = left.map((member) => [
    safeText(member, "name"),
    safeText(member, "node_id").slice(0, 8),
    member["alive"] === true ? "alive" : "lost",
    member["votes"] === true ? "voter" : "",
  ]);
  const last = numberOf(plan, "last_index") ?? 0;
  const committed = numberOf(plan, "committed_index") ?? 0;
  return `This node knows ${
    numberOf(plan, "models") ?? 0
  } models. Its log ends at entry ${last}, of which ` +
    `${committed} are known to be agreed on;\nwhat the others agreed on behind that is lost to the cluster.\n` +
    (left.length === 0
      ? "There are no other members.\n"
      : `Left behind, until each joins again:\n${
        tableOf([["NAME", "ID", "NOW", "ROLE"], ...rows])
      }`) +
    "Do this on one node only, the one whose log ends last, and only if the lost voters don't come back.\n";
}

async function isAgreed({ terminal }: CliContext): Promise<boolean> {
  if (!terminal.input.isTerminal) return false;
  terminal.out.write('Type "recover" to go on: ');
  const buffer = new Uint8Array(ANSWER_BYTES);
  const count = await terminal.input.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0)).trim() === "recover";
}
