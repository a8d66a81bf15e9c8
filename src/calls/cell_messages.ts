import {
  byteStringShape,
  CELLS_BLOCKS_BYTES_MAX,
  CELLS_BYTES_MAX,
  integerShape,
  numberShape,
  objectShape,
  textOfShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** What the first frame of a stream for what a model computed says it is for. */
export const CELLS_PURPOSE = "cells";
/** Bytes of one frame of them. */
export const CELLS_FRAME_BYTES = 256 * 1024;
/** Tokens of one prefix at most. */
const TOKENS_MAX = 4_194_304;

const hex = (digits: number) =>
  textOfShape<string>(digits, (text) => text.length === digits && /^[0-9a-f]*$/.test(text));

/** First frame: what is wanted, and what it must hold for. The purpose has been looked at by then. */
export const cellsOpeningShape = objectShape({
  /** Digest of the model's files, its numeric class, and the kind and slots of its cache. */
  key: hex(32),
  /** Names of the prompt's beginnings, a block each. */
  blocks: byteStringShape(CELLS_BLOCKS_BYTES_MAX),
  readyTokens: integerShape(0, TOKENS_MAX),
});

const headerShape = objectShape({
  id: hex(32),
  tokens: byteStringShape(TOKENS_MAX * 4),
  savedPositions: integerShape(0, TOKENS_MAX),
  computeMs: numberShape(0),
  bytes: integerShape(1, CELLS_BYTES_MAX),
  sha256: hex(64),
});

/**
 * The answers, as messages: first that somebody looks, then what was found. After `granted` plain frames with the bytes
 * follow; the stream ends with the last one, or with any other answer.
 */
export const cellsAnswerShape = unionShape({
  looking: objectShape({}),
  granted: objectShape({ header: headerShape }),
  lacking: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});
