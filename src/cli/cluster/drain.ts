import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { addExamples } from "../options.ts";
import { defineDeed } from "./views.ts";

/** `drain` and `undrain`. */
export function define(command: Command, context: CliContext): void {
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
