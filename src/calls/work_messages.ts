import {
  booleanShape,
  numberShape,
  objectShape,
  type ShapeOf,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** What the first frame of a stream about work for clients says it is for. */
export const WORK_PURPOSE = "work";

/** Characters of one piece of an answer: what one token adds, or a whole call. */
const PIECE_CHARS_MAX = 8 * 1024 * 1024;

/** First frame. */
export const workOpeningShape = objectShape({
  /** `cancel_request`, `cancel_response` or `follow_response`. */
  act: textShape(32),
  id: textShape(80),
  /** Of `cancel_request`: who asks, and whether he may end anybody's. */
  asker: textShape(512),
  isAdmin: booleanShape,
});

/** The answers; of a response that is followed there are many. */
export const workAnswerShape = unionShape({
  ended: objectShape({ count: numberShape(0) }),
  piece: objectShape({ json: textShape(PIECE_CHARS_MAX) }),
  over: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});

export type WorkAnswer = ShapeOf<typeof workAnswerShape>;
