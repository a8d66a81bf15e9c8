import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { addExamples } from "../options.ts";
import { defineDeed } from "./views.ts";

const NODE = ["<NODE>", "Name of the node, its id, or the beginning of it"] as const;

export function define(command: Command, context: CliContext): void {
  command.description("Take members out of the cluster");
  addExamples(command, "odist member remove garage", "odist member revoke 1f00a9c2");
  defineDeed(command.command("remove"), context, {
    summary: "Forget a node that is gone; it may join again with a token",
    argument: NODE,
    method: "DELETE",
    path: "/api/cluster/members/*",
    past: "removed",
  });
  defineDeed(command.command("revoke"), context, {
    summary: "Shut a node out for good, also with a valid token",
    argument: NODE,
    method: "POST",
    path: "/api/cluster/members/*/revoke",
    past: "revoked",
  });
}
