import { type Command, Option } from "commander";
import { formatBinaryBytes, RequestError } from "../../base/mod.ts";
import type { OptionName } from "../../config/mod.ts";
import { planShards, type ShardNode, type ShardRefusal } from "../../core/scheduler/mod.ts";
import { type CliContext, configFor } from "../context.ts";
import { ExitRequest } from "../exit_request.ts";
import { addConfigOptions, addExamples, addJsonOption, configFlagsOf } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { readClusterFile } from "./cluster_file.ts";
import { planJson, renderPlan } from "./plan_view.ts";
import { readHeaderModel } from "./read_model.ts";

/** What a model's memory depends on beside itself. */
const SIZED_BY: ReadonlySet<OptionName> = new Set([
  "contextTokens",
  "slots",
  "batchTokens",
  "kvCacheType",
  "memoryReserveBytes",
]);

const CLUSTER_FILE = `
The file describes nodes, and names the leader, who would hold the output layer (else the first):
  {"leader": "desk", "nodes": [
    {"name": "desk", "memory": "20GiB", "speed": "40GB", "device": {"memory": "22GiB", "speed": "800GB"}},
    {"name": "shelf", "memory": "56GiB", "speed": "25GB", "round_trip_ms": 0.4}]}
memory is what is free, of which --memory-reserve stays so; speed is the bytes of weights that are read a second while one answer is written: the tokens
a second of a model that was measured there, times the bytes of its weights; round_trip_ms is to the leader and back.`;

interface PlanOptions {
  readonly nodes: string;
  readonly leader?: string;
  readonly shard?: boolean;
  readonly config?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CliContext): void {
  command.description(
    "Plan where a model would go on described nodes, from its GGUF header alone. No node is asked and nothing is loaded: " +
      "odist does not run a model split over nodes yet",
  );
  command.argument("<FILE>", "GGUF file, or the beginning of one with the whole header");
  command.addOption(
    new Option("--nodes <FILE>", "JSON file that describes the nodes").makeOptionMandatory(),
  );
  command.option("--leader <NAME>", "Node that would lead, instead of the file's");
  command.option("--shard", "Split the model even where one node holds it whole");
  addConfigOptions(command, (name) => SIZED_BY.has(name));
  addJsonOption(command);
  command.addHelpText("after", CLUSTER_FILE);
  addExamples(command, "odist plan llama-70b.gguf --nodes nodes.json --context 8192");
  command.action((path: string, options: PlanOptions) =>
    showPlan({ path, options }, command, context)
  );
}

async function showPlan(
  asked: { readonly path: string; readonly options: PlanOptions },
  command: Command,
  context: CliContext,
): Promise<void> {
  const { options } = asked;
  const loaded = configFor(context, { flags: configFlagsOf(command), path: options.config });
  const { out, err } = context.terminal;
  for (const warning of loaded.warnings) err.write(`Warning: ${warning}\n`);
  const { memoryReserveBytes } = loaded.config.scheduler;
  const described = await readClusterFile(options.nodes, options.leader);
  const cluster = { ...described, nodes: described.nodes.map(withReserve(memoryReserveBytes)) };
  const header = await readHeaderModel(asked.path, loaded.config.engine);
  const plan = planShards(header.model, cluster, { isSplitWanted: options.shard === true });
  if (options.json) {
    printJson(context, planJson({ header, cluster, plan }));
    if (plan.kind === "refused") throw new ExitRequest(1);
  } else if (plan.kind === "refused") throw refused(plan, cluster.leader);
  else out.write(renderPlan({ header, cluster, plan }));
}

/** What the scheduler of a node leaves free, it leaves free here. */
function withReserve(reserveBytes: number) {
  return (node: ShardNode): ShardNode => {
    const freeBytes = Math.max(0, node.host.freeBytes - reserveBytes);
    return { ...node, host: { ...node.host, freeBytes } };
  };
}

function refused(refusal: ShardRefusal, leader: string): RequestError {
  const [wanted, present, layer] = [
    refusal.wantedBytes,
    refusal.presentBytes,
    refusal.layerBytes,
  ].map((bytes) => `${formatBinaryBytes(bytes)} (${bytes} bytes)`);
  const reasons = {
    leader: `what only the leader can hold needs ${wanted}, ${leader} has ${present}`,
    memory: `it needs ${wanted}, the nodes together have ${present}`,
    whole_layers:
      `it needs ${wanted}, the nodes together have ${present}, but not in whole layers of up to ${layer}`,
  };
  return new RequestError("model_too_large", `The model does not fit: ${reasons[refusal.reason]}`);
}
