import type { Decoded } from "../bytes.ts";
import { listField, recordField, type ValueOf } from "../field_codec.ts";
import { manifestPrefixField } from "./inventory_value.ts";
import { countField, decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link NodeSplit} among a member's gossip values. */
export const NODE_SPLIT_KEY = "split";
/** Models in one value, and parts of one; llama.cpp computes one on no more. Together they stay below 8 KiB. */
const MODELS_MAX = 4;
const SHARDS_MAX = 16;
/** Of a device's name, such as `Vulkan0`. */
const DEVICE_BYTES_MAX = 24;

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
/** The first layout, before nodes said how fast they are. */
const FIRST_SPLIT = recordField(FIRST_FIELDS);
const SECOND_FIELDS = {
  ...FIRST_FIELDS,
  /** Weights that its cores read a millisecond while tokens are computed one by one; 0 = not measured. */
  bytesPerMs: countField(),
};
/** The second one, before they said on which devices parts lie. */
const SECOND_SPLIT = recordField(SECOND_FIELDS);
const WRITTEN_SPLIT = recordField({
  ...SECOND_FIELDS,
  /** Of each model, where each of its parts lies; "" = on the cores. */
  devices: listField(listField(shownField(DEVICE_BYTES_MAX), SHARDS_MAX), MODELS_MAX),
});
const LAYOUT = 3;

type Written = ValueOf<typeof WRITTEN_SPLIT>;
type WrittenModel = Written["models"][number];

/** What concerns models over several nodes. */
export type NodeSplit = Readonly<Omit<Written, "models" | "devices">> & {
  readonly models: readonly (Readonly<Omit<WrittenModel, "shards">> & {
    readonly shards: readonly (Readonly<WrittenModel["shards"][number]> & {
      /** That computes; absent = the cores, or not told. */
      readonly device?: string | undefined;
    })[];
  })[];
};

/** Always decodes; of more models the first are told. */
export function encodeNodeSplit({ models, ...split }: NodeSplit): Uint8Array<ArrayBuffer> {
  const told = models.slice(0, MODELS_MAX)
    .map((model) => ({ ...model, shards: model.shards.slice(0, SHARDS_MAX) }));
  const devices = told.map(({ shards }) => shards.map(({ device = "" }) => device));
  return encodeVersioned(WRITTEN_SPLIT, { ...split, models: told, devices }, LAYOUT);
}

/** Never throws, on any bytes. */
export function decodeNodeSplit(bytes: Uint8Array): Decoded<NodeSplit> {
  const layout = bytes[0] ?? 0;
  if (layout === 1) return withRest(decodeVersioned(FIRST_SPLIT, bytes), { bytesPerMs: 0 });
  if (layout === 2) return decodeVersioned(SECOND_SPLIT, bytes, layout);
  const decoded = decodeVersioned(WRITTEN_SPLIT, bytes, LAYOUT);
  if (decoded.kind === "malformed") return decoded;
  const { models, devices, ...split } = decoded.value;
  const told = models.map(({ manifest, shards }, at) => ({
    manifest,
    shards: shards.map((shard, index) => {
      const device = devices[at]?.[index] ?? "";
      return { ...shard, ...device !== "" && { device } };
    }),
  }));
  return { kind: "decoded", value: { ...split, models: told } };
}

function withRest<First, Rest>(decoded: Decoded<First>, rest: Rest): Decoded<First & Rest> {
  return decoded.kind === "malformed"
    ? decoded
    : { kind: "decoded", value: { ...decoded.value, ...rest } };
}
