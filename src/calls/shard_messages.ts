import { type Digest, parseDigest } from "../base/mod.ts";
import {
  arrayShape,
  booleanShape,
  integerShape,
  maybeShape,
  objectShape,
  type ShapeOf,
  textOfShape,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** What streams say they are for that lend a worker: as long as one lives, so does the worker. */
export const SHARD_PURPOSE = "shard";
/** What streams say they are for that carry one connection to a worker. */
export const TUNNEL_PURPOSE = "tunnel";
/** What streams say they are for that are answered at once, so that the way is measured. */
export const ECHO_PURPOSE = "echo";

const MEMORY_BYTES_MAX = 2 ** 50;
/** Parts of a file: one for each layer. */
const RANGES_MAX = 1_024;
const DEVICE_CHARS_MAX = 64;
const REASON_CHARS_MAX = 4_096;

/** The first frame of a worker's lease; beats follow, as messages. */
export const shardOpeningShape = objectShape({
  /** Drawn by who asks: tunnels name it. */
  shardId: textShape(64),
  /** Of the model; for people. */
  name: textShape(1_024),
  /** Of its weights: a node that holds them need not be sent them. */
  blob: textOfShape<Digest>(71, (text) => parseDigest(text) === text),
  memoryBytes: integerShape(1, MEMORY_BYTES_MAX),
  /** That it should compute on; absent = the cores. */
  device: maybeShape(objectShape({
    name: textShape(DEVICE_CHARS_MAX),
    bytes: integerShape(1, MEMORY_BYTES_MAX),
  })),
  /** Of that file and where its layers lie in it; absent from nodes that send all of them. */
  weights: maybeShape(objectShape({
    blobBytes: integerShape(1, MEMORY_BYTES_MAX),
    ranges: arrayShape(
      objectShape({
        offset: integerShape(0, MEMORY_BYTES_MAX),
        length: integerShape(1, MEMORY_BYTES_MAX),
      }),
      RANGES_MAX,
    ),
  })),
});

/** What the worker's node says: once that the worker is there, and then that it still is. */
export const shardReplyShape = unionShape({
  granted: objectShape({
    holdsBlob: booleanShape,
    holdsRanges: maybeShape(booleanShape),
    /** Whether it takes packed frames; absent from nodes that know of none. */
    unpacks: maybeShape(booleanShape),
    /** That computes; absent = the cores, whatever was asked for: older nodes know of nothing else. */
    device: maybeShape(textShape(DEVICE_CHARS_MAX)),
  }),
  /** It is bringing the layers, and has come on since it said so last. */
  fetching: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
  /** The worker is gone. */
  lost: objectShape({ reason: textShape(REASON_CHARS_MAX) }),
  /** Its node takes no part in anything new: the leader should do without it as soon as it can. */
  leaving: objectShape({}),
  beat: objectShape({}),
});
export type ShardReply = ShapeOf<typeof shardReplyShape>;

export const echoOpeningShape = objectShape({});

/** The first frame of a tunnel; frames of `src/shards/` follow. */
export const tunnelOpeningShape = objectShape({ shardId: textShape(64) });
