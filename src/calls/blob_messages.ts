import { type Digest, parseDigest } from "../base/mod.ts";
import {
  integerShape,
  objectShape,
  textOfShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** What the first frame of a stream for a blob's bytes says it is for. */
export const BLOB_PURPOSE = "blob";
/** Bytes of one frame: long enough for the disk, short enough that other streams of the connection get their turns. */
export const BLOB_FRAME_BYTES = 256 * 1024;
/** Bytes of one range: more than any blob, as a number that is exact. */
const BLOB_BYTES_MAX = 2 ** 50;

/** First frame: the bytes wanted. The purpose has been looked at by then. */
export const blobOpeningShape = objectShape({
  digest: textOfShape<Digest>(
    71,
    (text) => text.startsWith("sha256:") && parseDigest(text) === text,
  ),
  offset: integerShape(0, BLOB_BYTES_MAX),
  length: integerShape(1, BLOB_BYTES_MAX),
});

/**
 * The answer, as a message. After `granted` plain frames with the bytes follow; the stream ends with the last one, or with
 * the refusal.
 */
export const blobAnswerShape = unionShape({
  granted: objectShape({ blobBytes: integerShape(0, BLOB_BYTES_MAX) }),
  refused: objectShape({ error: wireErrorShape }),
});
