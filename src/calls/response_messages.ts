import { required } from "./lease_messages.ts";
import { decodeValue, encodeValue } from "../transport/mod.ts";
import {
  booleanShape,
  byteStringShape,
  maybeShape,
  numberShape,
  objectShape,
  type ShapeOf,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** What the first frame of a stream about a kept response says it is for. */
export const RESPONSE_PURPOSE = "response";

/** Bytes of a kept response at most. */
export const RESPONSE_BYTES_MAX = 8 * 1024 * 1024;

const id = textShape(80);

/** First frame. To `keep` one, the response itself follows as a message. */
export const responseOpeningShape = objectShape({
  act: textShape(8),
  id,
  /** Milliseconds since 1970; of what is to be kept. */
  expiresAtMs: maybeShape(numberShape(0)),
});

/** What is kept: JSON that only HTTP reads, who made it, and whether it is whole. */
export const keptResponseShape = objectShape({
  json: byteStringShape(RESPONSE_BYTES_MAX),
  maker: textShape(64),
  /** Drawn by the maker's process: another one knows nothing of what is not final. */
  makerRun: textShape(64),
  isFinal: booleanShape,
});

/** The answer. */
export const responseAnswerShape = unionShape({
  kept: objectShape({}),
  found: objectShape({ response: maybeShape(keptResponseShape), makerRun: textShape(64) }),
  removed: objectShape({ wasHere: booleanShape }),
  refused: objectShape({ error: wireErrorShape }),
});

export type KeptResponse = ShapeOf<typeof keptResponseShape>;

/** As it lies on a disk. */
export function encodeKeptResponse(response: KeptResponse): Uint8Array {
  return encodeValue(response);
}

/** @throws PeerError `malformed_frame` for anything else than what {@link encodeKeptResponse} makes. */
export function decodeKeptResponse(bytes: Uint8Array): KeptResponse {
  return required(keptResponseShape, decodeValue(bytes));
}
