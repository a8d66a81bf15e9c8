import type { Decoded } from "../bytes.ts";
import { listField, recordField, type ValueOf } from "../field_codec.ts";
import { manifestPrefixField } from "./inventory_value.ts";
import { countField, decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link NodeSplit} among a member's gossip values. */
export const NODE_SPLIT_KEY = "split";
/** Models in one value, and parts of one; llama.cpp computes one on no more. Together they stay below 8 KiB. */
const MODELS_MAX = 4;
const SHARDS_MAX = 16;

const SPLIT_MODEL = recordField({
  /** First eight bytes of its manifest's SHA-256. */
  manifest: manifestPrefixField,
  shards: listField(
    recordField({
      /** Of the node; for people. */
      name: shownField(64),
      firstLayer: countField(65_536),
      layerCount: countField(65_536),
      memoryBytes: countField(),
    }),
    SHARDS_MAX,
  ),
});

const NODE_SPLIT = recordField({
  /** What the node could take of a model if it ended all others: less than that is never too much. */
  roomBytes: countField(),
  /** Those it leads. */
  models: listField(SPLIT_MODEL, MODELS_MAX),
});

/** What concerns models over several nodes. */
export type NodeSplit = Readonly<ValueOf<typeof NODE_SPLIT>>;

/** Always decodes; of more models the first are told. */
export function encodeNodeSplit({ roomBytes, models }: NodeSplit): Uint8Array<ArrayBuffer> {
  const told = models.slice(0, MODELS_MAX)
    .map((model) => ({ ...model, shards: model.shards.slice(0, SHARDS_MAX) }));
  return encodeVersioned(NODE_SPLIT, { roomBytes, models: told });
}

/** Never throws, on any bytes. */
export function decodeNodeSplit(bytes: Uint8Array): Decoded<NodeSplit> {
  return decodeVersioned(NODE_SPLIT, bytes);
}
