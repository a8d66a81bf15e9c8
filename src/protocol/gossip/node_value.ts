import type { Decoded } from "../bytes.ts";
import { recordField, type ValueOf } from "../field_codec.ts";
import { ADDRESS_BYTES_MAX } from "../membership.ts";
import {
  behindGoneText,
  countField,
  decodeVersioned,
  encodeVersioned,
  shownField,
} from "./versioned_value.ts";

/** Key of {@link NodeFacts} among a member's gossip values. */
export const NODE_FACTS_KEY = "node";
/** Key of {@link NodeLoad}. */
export const NODE_LOAD_KEY = "load";

const FIRST_FACTS = {
  /** Chosen by its owner; not unique. */
  name: shownField(64),
  /** odist's version. */
  version: shownField(64),
  /** The newest catalogue schema it applies. */
  catalogueSchema: countField(),
  /** `host:port` of its cluster port; before it stood an address of the HTTP API, which nobody asked for. */
  clusterAddress: behindGoneText(ADDRESS_BYTES_MAX, shownField(ADDRESS_BYTES_MAX)),
  cores: countField(65_536),
  /** Nodes of one class continue each other's answers with the same text; "" when it was not measured. */
  numericClass: shownField(64),
};
const FACTS_BEFORE = recordField(FIRST_FACTS);
/** As {@link FACTS_BEFORE} until a program said of itself what it speaks. */
const NODE_FACTS = recordField({
  ...FIRST_FACTS,
  /** The newest version of the wire. */
  wire: countField(),
});
const FACTS_BEFORE_LAYOUT = 1;
const NODE_FACTS_LAYOUT = 2;

/** What a node says of itself; constant for one start. */
export type NodeFacts = Readonly<ValueOf<typeof NODE_FACTS>>;

/** No machine decodes a million tokens a second of one sequence, or reads ten. */
const DECODE_PER_MINUTE_MAX = 60 * 1_000_000;
const PREFILL_PER_MINUTE_MAX = 60 * 10_000_000;
/** A PiB. */
const MEMORY_BYTES_MAX = 2 ** 50;

const NODE_LOAD = recordField({
  runningRequests: countField(1_000_000),
  waitingRequests: countField(1_000_000),
  /** Of all loaded models together. */
  slots: countField(1_000_000),
  freeSlots: countField(1_000_000),
  /** Of one sequence, averaged over recent answers; 0 = not measured yet. Per minute, because slow CPUs make few. */
  decodeTokensPerMinute: countField(DECODE_PER_MINUTE_MAX),
  /** As above, for the prompt. */
  prefillTokensPerMinute: countField(PREFILL_PER_MINUTE_MAX),
  /** Memory a further model could take. */
  availableBytes: countField(MEMORY_BYTES_MAX),
});

/** How busy a node is; at most seconds old. */
export type NodeLoad = Readonly<ValueOf<typeof NODE_LOAD>>;

/** Texts too long are cut, control characters replaced: the result always decodes. */
export function encodeNodeFacts(facts: NodeFacts): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_FACTS, facts, NODE_FACTS_LAYOUT);
}

/** Never throws, on any bytes. */
export function decodeNodeFacts(bytes: Uint8Array): Decoded<NodeFacts> {
  if (bytes[0] !== FACTS_BEFORE_LAYOUT) {
    return decodeVersioned(NODE_FACTS, bytes, NODE_FACTS_LAYOUT);
  }
  const decoded = decodeVersioned(FACTS_BEFORE, bytes);
  return decoded.kind === "malformed"
    ? decoded
    : { kind: "decoded", value: { ...decoded.value, wire: 1 } };
}

/** Numbers are cut to whole ones in range: the result always decodes. */
export function encodeNodeLoad(load: NodeLoad): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_LOAD, { ...load, freeSlots: Math.min(load.freeSlots, load.slots) });
}

/** Never throws, on any bytes. */
export function decodeNodeLoad(bytes: Uint8Array): Decoded<NodeLoad> {
  const decoded = decodeVersioned(NODE_LOAD, bytes);
  if (decoded.kind === "malformed" || decoded.value.freeSlots <= decoded.value.slots) {
    return decoded;
  }
  return { kind: "malformed", reason: "more free slots than slots" };
}

/** Key of {@link NodeDisk} among a member's gossip values. */
export const NODE_DISK_KEY = "disk";

const NODE_DISK = recordField({
  /** Free where the node keeps blobs. */
  freeBytes: countField(),
});

/** What room a node has for models. Apart from the load, because it hardly ever changes. */
export type NodeDisk = Readonly<ValueOf<typeof NODE_DISK>>;

/** Numbers are cut to whole ones in range: the result always decodes. */
export function encodeNodeDisk(disk: NodeDisk): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_DISK, disk);
}

/** Never throws, on any bytes. */
export function decodeNodeDisk(bytes: Uint8Array): Decoded<NodeDisk> {
  return decodeVersioned(NODE_DISK, bytes);
}

/** Key of {@link NodeFence} among a member's gossip values. */
export const NODE_FENCE_KEY = "fence";

const NODE_FENCE = recordField({
  /** Why the node takes no part in the log's group, in one word; "" = it does. */
  kind: shownField(32),
});

/** Whether a node, though alive, neither votes nor follows. */
export type NodeFence = Readonly<ValueOf<typeof NODE_FENCE>>;

export function encodeNodeFence(fence: NodeFence): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_FENCE, fence);
}

/** Never throws, on any bytes. */
export function decodeNodeFence(bytes: Uint8Array): Decoded<NodeFence> {
  return decodeVersioned(NODE_FENCE, bytes);
}
