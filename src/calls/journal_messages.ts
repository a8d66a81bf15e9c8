import {
  arrayShape,
  booleanShape,
  byteStringShape,
  choiceShape,
  integerShape,
  maybeShape,
  numberShape,
  objectShape,
  type ShapeOf,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** What the first frame of a stream about the journals of answers says it is for. */
export const JOURNAL_PURPOSE = "journal";

/** Characters of an id, and of who asked. */
const ID_CHARS_MAX = 128;
const OWNER_CHARS_MAX = 512;
/** Bytes of what was asked, or told at once. */
const BYTES_MAX = 8 * 1024 * 1024;
const HEADERS_MAX = 32;
const ENTRIES_MAX = 256 * 1024;
const WORDS_MAX = 64 * 1024;

const key = {
  id: textShape(ID_CHARS_MAX),
  owner: textShape(OWNER_CHARS_MAX),
};

/** First frame: `copy` keeps another node's journals, `find` asks for one, `follow` reads an answer. */
export const journalOpeningShape = objectShape({
  act: textShape(8),
  ...key,
  /** Of `follow`: from this byte on. */
  offset: numberShape(0),
});

/** Which answer under its key: what was drawn for it. */
const drawn = textShape(64);
const said = { ...key, drawn, epoch: integerShape(0) };
const header = objectShape({ name: textShape(256), value: textShape(8 * 1024) });
const headShape = objectShape({
  ...key,
  method: textShape(8),
  path: textShape(8 * 1024),
  headers: arrayShape(header, HEADERS_MAX),
  body: byteStringShape(BYTES_MAX),
  fingerprint: textShape(64),
  who: textShape(OWNER_CHARS_MAX),
  from: textShape(OWNER_CHARS_MAX),
  drawn,
  seed: integerShape(0, 0xffff_ffff),
  startedAtMs: numberShape(0),
});
const state = choiceShape(["working", "idle", "ended"]);
const opening = objectShape({ status: integerShape(100, 599), contentType: textShape(256) });
const entry = objectShape({ bytes: byteStringShape(BYTES_MAX), facts: textShape(BYTES_MAX) });

/** What a node says of its journals to the one that keeps copies. */
const journalWordShape = unionShape({
  /** In place of what was kept under the key. */
  begun: objectShape({
    head: headShape,
    epoch: integerShape(0),
    opening: maybeShape(opening),
    entries: arrayShape(entry, ENTRIES_MAX),
    state,
  }),
  opened: objectShape({ ...said, opening }),
  told: objectShape({ ...said, index: integerShape(0), entry, isLast: booleanShape }),
  stood: objectShape({ ...said, state }),
  dropped: objectShape(said),
});

export const journalBatchShape = objectShape({
  /** Absent = the rest of what belongs together follows. */
  batch: maybeShape(integerShape(1)),
  words: arrayShape(journalWordShape, WORDS_MAX),
});

export const journalAckShape = objectShape({
  batch: integerShape(1),
  /** Journals that the one who copies goes on with: whoever told of them has lost them. */
  takenOver: arrayShape(objectShape(key), WORDS_MAX),
  /** Of what came since the last answer, those that it could not keep: there is no copy of them. Absent = it doesn't say. */
  notKept: maybeShape(arrayShape(objectShape(key), WORDS_MAX)),
});

/** The answers to `find` and `follow`; of the latter there are many. */
export const journalAnswerShape = unionShape({
  found: objectShape({
    /** Absent = nothing is here. */
    role: maybeShape(choiceShape(["own", "copy"])),
    /** It was, and grew too large. */
    isLost: maybeShape(booleanShape),
    epoch: integerShape(0),
    byteCount: numberShape(0),
    fingerprint: textShape(64),
  }),
  opening,
  bytes: objectShape({ bytes: byteStringShape(BYTES_MAX) }),
  over: objectShape({ isWhole: booleanShape }),
  refused: objectShape({ error: wireErrorShape }),
});

export type JournalWord = ShapeOf<typeof journalWordShape>;
