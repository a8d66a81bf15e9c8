import { type JsonObject, numberOf, textOf } from "./json.ts";

/** Who computes which layers of a model: `attic 0-15, cellar 16-29`. */
export function shardsText(shards: readonly JsonObject[]): string {
  return shards.map((shard) => {
    const first = numberOf(shard, "first_layer") ?? 0;
    const count = numberOf(shard, "layer_count") ?? 0;
    const layers = count === 0 ? "output" : `${first}-${first + count - 1}`;
    const device = textOf(shard, "device");
    return `${textOf(shard, "node") ?? ""}${device === undefined ? "" : ` ${device}`} ${layers}`;
  }).join(", ");
}
