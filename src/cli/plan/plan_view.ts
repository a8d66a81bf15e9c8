import {
  formatBinaryBytes,
  formatBytes,
  formatCount,
  formatTable,
  printable,
} from "../../base/mod.ts";
import {
  linkBytesPerToken,
  type Shard,
  type ShardedPlan,
  type ShardPlan,
} from "../../core/scheduler/mod.ts";
import type { DescribedCluster } from "./cluster_file.ts";
import type { HeaderModel } from "./read_model.ts";

/** What a view is made of. */
interface Planned<Plan extends ShardPlan> {
  readonly header: HeaderModel;
  readonly cluster: DescribedCluster;
  readonly plan: Plan;
}

/** A table for people, how each figure comes about, and what of it odist can't do. */
export function renderPlan(planned: Planned<ShardedPlan>): string {
  const { plan, header } = planned;
  const table = formatTable([
    ["NODE", "MEMORY", "LAYERS", "WEIGHTS", "KV", "OTHER", "TAKES", "OF", "MS/TOKEN"],
    ...plan.shards.map((shard) => rowOf(shard, plan.leader)),
  ]);
  const figures = [...speedLines(planned), ...linkLines(planned), ...memoryLines(header)];
  return [modelLine(header), "", ...table, "", ...figures, "", ...notesOf(planned), ""].join("\n");
}

function notesOf({ plan, header, cluster }: Planned<ShardedPlan>): readonly string[] {
  const { assumedSpeeds } = cluster;
  return [
    plan.kind === "whole"
      ? `${plan.leader} holds it whole: no split is needed.`
      : "A plan only: odist does not run a model split over nodes yet.",
    ...(usesDevice(plan)
      ? ["A plan only: odist does not compute on devices yet, only on CPUs."]
      : []),
    ...(header.isHeaderAlone ? ["The file holds no weights: sizes are what its header says."] : []),
    ...(assumedSpeeds.length > 0
      ? [`Speed was not given, but assumed, of ${assumedSpeeds.join(", ")}.`]
      : []),
  ];
}

function usesDevice({ shards }: ShardedPlan): boolean {
  return shards.some(({ memory, layerCount }) => memory === "device" && layerCount > 0);
}

function modelLine({ facts, model: { shape } }: HeaderModel): string {
  const { architecture, parameterCount, quantization, blockCount, weightsBytes } = facts;
  return `${printable(architecture)}, ${
    formatCount(parameterCount)
  } parameters, ${quantization}: ` +
    `${blockCount} layers, ${formatBinaryBytes(weightsBytes)} of weights; ` +
    `${shape.slots} x ${shape.contextTokens} tokens of window, ${shape.kvCacheType} cache`;
}

function rowOf(shard: Shard, leader: string): readonly string[] {
  const { firstLayer, layerCount } = shard;
  return [
    shard.node + (shard.node === leader ? " (leads)" : ""),
    shard.memory,
    layerCount === 0 ? "none" : `${firstLayer}-${firstLayer + layerCount - 1} (${layerCount})`,
    ...[shard.weightsBytes, shard.kvBytes, shard.otherBytes, shard.totalBytes, shard.freeBytes]
      .map(formatBinaryBytes),
    shard.msPerToken.toFixed(1),
  ];
}

function speedLines({ plan }: Planned<ShardedPlan>): readonly string[] {
  const layersMs = plan.shards.map(({ msPerToken }) => msPerToken).filter((ms) => ms > 0);
  const terms = [...layersMs, plan.outputMs, plan.linksMs].map((ms) => ms.toFixed(1));
  return [
    `Expected: ${
      tokensPerSecond(plan).toFixed(1)
    } tokens/s of one answer, while the window is empty`,
    `  = 1000 ms / (${terms.join(" + ")}): layers of each memory, output layer, links`,
    "  layers, output layer = weights read for a token / speed; links = a round trip for each memory of a worker",
  ];
}

function linkLines({ plan, header }: Planned<ShardedPlan>): readonly string[] {
  if (plan.kind === "whole") return [];
  const { empty, full } = linksOf(header);
  const up = `${formatBytes(empty.upBytes)} (window empty) to ${formatBytes(full.upBytes)} (full)`;
  return [
    `Bytes a token and link: ${up} to a worker, ${formatBytes(full.downBytes)} back`,
    `  back = 4 x ${header.facts.embeddingLength}; to = the same + 2 x window in use + 6 x 313 of headers`,
  ];
}

function memoryLines({ model: { shape } }: HeaderModel): readonly string[] {
  const { contextTokens, slots, kvHeads, keyValueLength, kvCacheType } = shape;
  const factors = `${contextTokens} tokens x ${slots} slots x ${kvHeads} heads x ${keyValueLength}`;
  return [
    "Takes: weights + KV + other, as a node's scheduler reserves them for a whole model",
    `  KV of a layer = ${factors} x bytes of ${kvCacheType}`,
    "  other = buffers, process; of the leader also embeddings, output layer and logits",
  ];
}

/** The same for programs. */
export function planJson({ header, cluster, plan }: Planned<ShardPlan>): unknown {
  const { facts, model: { shape } } = header;
  return {
    model: {
      architecture: facts.architecture,
      parameters: facts.parameterCount,
      quantization: facts.quantization,
      layers: facts.blockCount,
      weights_bytes: facts.weightsBytes,
      context_tokens: shape.contextTokens,
      slots: shape.slots,
      kv_cache_type: shape.kvCacheType,
      header_only: header.isHeaderAlone,
    },
    assumed_speeds: cluster.assumedSpeeds,
    ...(plan.kind === "refused"
      ? {
        kind: plan.kind,
        reason: plan.reason,
        wanted_bytes: plan.wantedBytes,
        present_bytes: plan.presentBytes,
        layer_bytes: plan.layerBytes,
      }
      : shardedJson(plan, header)),
  };
}

function shardedJson(plan: ShardedPlan, header: HeaderModel) {
  const { empty, full } = linksOf(header);
  return {
    kind: plan.kind,
    /** What is split, or lies on a device, is a plan only. */
    can_run: plan.kind === "whole" && !usesDevice(plan),
    leader: plan.leader,
    shards: plan.shards.map((shard) => ({
      node: shard.node,
      memory: shard.memory,
      first_layer: shard.firstLayer,
      layers: shard.layerCount,
      weights_bytes: shard.weightsBytes,
      kv_bytes: shard.kvBytes,
      other_bytes: shard.otherBytes,
      total_bytes: shard.totalBytes,
      free_bytes: shard.freeBytes,
      ms_per_token: shard.msPerToken,
    })),
    expected: {
      tokens_per_second: tokensPerSecond(plan),
      ms_per_token: plan.msPerToken,
      output_ms: plan.outputMs,
      links_ms: plan.linksMs,
    },
    ...(plan.kind === "whole" ? {} : {
      link_bytes_per_token: {
        up_empty_window: empty.upBytes,
        up_full_window: full.upBytes,
        down: full.downBytes,
      },
    }),
  };
}

function linksOf({ facts: { embeddingLength }, model: { shape } }: HeaderModel) {
  return {
    empty: linkBytesPerToken({ embeddingLength, cachedTokens: 0 }),
    full: linkBytesPerToken({ embeddingLength, cachedTokens: shape.contextTokens - 1 }),
  };
}

function tokensPerSecond({ msPerToken }: ShardedPlan): number {
  return msPerToken > 0 ? 1_000 / msPerToken : 0;
}
