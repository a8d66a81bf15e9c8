import {
  arrayShape,
  booleanShape,
  choiceShape,
  maybeShape,
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

/** Requests of one node that are told of at most. */
export const REQUEST_ROWS_MAX = 2_048;

/** Lines of one node's report at most, and characters of one. */
export const REPORT_LINES_MAX = 4_096;
const LINE_CHARS_MAX = 16 * 1_024;

/** A request as `RequestRow` has it. */
const requestRowShape = objectShape({
  id: textShape(80),
  atMs: numberShape(0),
  path: textShape(256),
  model: textShape(1_024),
  state: choiceShape(["running", "answered", "failed", "canceled"]),
  status: maybeShape(numberShape(0)),
  entry: textShape(256),
  node: maybeShape(textShape(256)),
  moves: numberShape(0),
  promptTokens: maybeShape(numberShape(0)),
  tokens: maybeShape(numberShape(0)),
  firstTokenMs: maybeShape(numberShape(0)),
  durationMs: numberShape(0),
});

/** First frame. */
export const workOpeningShape = objectShape({
  /** `cancel_request`, `list_requests`, `cancel_response`, `follow_response`, `report_logs` (`id`: how many), `report_trace` or `report_transfers`. */
  act: textShape(32),
  id: textShape(80),
  /** Of the first two: who asks, and whether anybody's are his to end and to know. */
  asker: textShape(512),
  isAdmin: booleanShape,
});

/** The answers; of a response that is followed there are many. */
export const workAnswerShape = unionShape({
  ended: objectShape({ count: numberShape(0) }),
  requests: objectShape({ rows: arrayShape(requestRowShape, REQUEST_ROWS_MAX) }),
  /** Lines of a report, as JSON. */
  lines: objectShape({ jsons: arrayShape(textShape(LINE_CHARS_MAX), REPORT_LINES_MAX) }),
  piece: objectShape({ json: textShape(PIECE_CHARS_MAX) }),
  over: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});

export type WorkAnswer = ShapeOf<typeof workAnswerShape>;
