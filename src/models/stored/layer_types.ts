import type { BlobLayer, Manifest } from "../../protocol/mod.ts";

const PREFIX = "application/vnd.ollama.image.";

/** What a layer holds (contract 2.3). `prompt` is the old name of `template`. */
export type LayerKind =
  | "model"
  | "projector"
  | "adapter"
  | "draft"
  | "template"
  | "prompt"
  | "system"
  | "params"
  | "messages"
  | "license";

/** Media type of a layer of this kind. */
export function layerMediaType(kind: LayerKind): string {
  return PREFIX + kind;
}

/** Whether the layer is of one of the kinds. */
export function isLayerOf(layer: BlobLayer, ...kinds: readonly LayerKind[]): boolean {
  return kinds.some((kind) => layer.mediaType === PREFIX + kind);
}

/** All layers of the kinds, in the manifest's order. */
export function layersOf(
  manifest: Pick<Manifest, "layers">,
  ...kinds: readonly LayerKind[]
): readonly BlobLayer[] {
  return manifest.layers.filter((layer) => isLayerOf(layer, ...kinds));
}
