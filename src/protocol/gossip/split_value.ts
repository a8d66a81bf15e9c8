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

const FIRST_FIELDS = {
  /** What the node could take of a model if it ended all others: less than that is never too much. */
  roomBytes: countField(),
  /** Those it leads. */
  models: listField(SPLIT_MODEL, MODELS_MAX),
};
const SPLIT_BEFORE = recordField(FIRST_FIELDS);
/** As {@link SPLIT_BEFORE} until nodes said how fast they are. */
const NODE_SPLIT = recordField({
  ...FIRST_FIELDS,
  /** Weights that its cores read a millisecond while tokens are computed one by one; 0 = not measured. */
  bytesPerMs: countField(),
});
const SPLIT_BEFORE_LAYOUT = 1;
const NODE_SPLIT_LAYOUT = 2;

/** What concerns models over several nodes. */
export type NodeSplit = Readonly<ValueOf<typeof NODE_SPLIT>>;

/** Always decodes; of more models the first are told. */
export function encodeNodeSplit({ models, ...split }: NodeSplit): Uint8Array<ArrayBuffer> {
  const told = models.slice(0, MODELS_MAX)
    .map((model) => ({ ...model, shards: model.shards.slice(0, SHARDS_MAX) }));
  return encodeVersioned(NODE_SPLIT, { ...split, models: told }, NODE_SPLIT_LAYOUT);
}

/** Never throws, on any bytes. */
export function decodeNodeSplit(bytes: Uint8Array): Decoded<NodeSplit> {
  if (bytes[0] !== SPLIT_BEFORE_LAYOUT) {
    return decodeVersioned(NODE_SPLIT, bytes, NODE_SPLIT_LAYOUT);
  }
  const decoded = decodeVersioned(SPLIT_BEFORE, bytes);
  return decoded.kind === "malformed"
    ? decoded
    : { kind: "decoded", value: { ...decoded.value, bytesPerMs: 0 } };
}
