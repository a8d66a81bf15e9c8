import { hueOf } from "../parts/mod.ts";
import type { Member } from "../state/mod.ts";

/** A model that several nodes compute, as the one that leads them tells. */
export type SplitModel = NonNullable<Member["load"]>["split_models"][number];

type Shard = SplitModel["shards"][number];

/** Next to each other, so that neighbours differ. Of a hundred. */
const SHADES = [78, 48, 62, 34];

/** `layers 0–13`. */
export function layersText({ first_layer: first, layer_count: count }: Shard): string {
  if (count === 0) return "output";
  return count === 1 ? `layer ${first}` : `layers ${first}–${first + count - 1}`;
}

/** Which node computes which of its layers, as a bar. */
export function Layers({ model: { name, shards } }: { readonly model: SplitModel }) {
  const text = shards.map((shard) => `${shard.node} ${layersText(shard)}`).join(", ");
  return (
    <div class="layers">
      <div class="layers-bar" role="img" aria-label={`${name}: ${text}`}>
        {shards.filter(({ layer_count: count }) => count > 0).map((shard, index) => (
          <i
            key={`${shard.node} ${shard.first_layer}`}
            style={{
              "--hue": hueOf(name),
              "--shade": `${SHADES[index % SHADES.length]}%`,
              "flex-grow": shard.layer_count,
            }}
          />
        ))}
      </div>
      <ul class="muted small" aria-hidden="true">
        {shards.map((shard) => (
          <li key={`${shard.node} ${shard.first_layer}`}>
            <strong>{shard.node}</strong> {layersText(shard)}
          </li>
        ))}
      </ul>
    </div>
  );
}
