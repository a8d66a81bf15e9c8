import { isTraceparent, type NodeId, PeerError, TRACEPARENT_CHARS } from "../base/mod.ts";
import {
  arrayShape,
  booleanShape,
  byteStringShape,
  CELLS_KEEPERS_MAX,
  choiceShape,
  type Exactness,
  hashHexShape,
  IMAGES_BYTES_MAX,
  IMAGES_MAX,
  integerShape,
  type LoadedFacts,
  maybeShape,
  nullableShape,
  numberShape,
  objectShape,
  PREFIX_ENDS,
  PREFIX_SOURCES,
  readShape,
  type SequenceEvent,
  type SequenceRequest,
  type Shape,
  type ShapeOf,
  textOfShape,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";
import type { SplitView } from "../ports/mod.ts";
import type { ResolvedLoad } from "../models/mod.ts";

/** Version of the messages below. A node refuses any other, and the request goes elsewhere. */
export const LEASE_VERSION = 1;

/** The message itself is bounded; these only keep one field from being all of it where that makes no sense. */
const TEXT_CHARS_MAX = 64 * 1024 * 1024;
const GRAMMAR_CHARS_MAX = 1024 * 1024;
/** Tags an answer may have, and the characters of one. */
const TAGS_MAX = 64;
const TAG_CHARS_MAX = 256;
/** As long as an address with the origin of a page. */
const TENANT_CHARS_MAX = 1_024;
/** Of the id that an answer carries. */
const LABEL_CHARS_MAX = 256;
/** What is drawn for an answer has fewer. */
const ANSWER_CHARS_MAX = 64;
const TOKENS_MAX = 16 * 1024 * 1024;
const INPUTS_MAX = 1024 * 1024;
const TOKEN_BYTES_MAX = 64 * 1024;

const token = integerShape(0, 0x7fff_ffff);
const tokens = arrayShape(token, TOKENS_MAX);
const count = integerShape(0);
const id = integerShape(1);
const nodeId = textOfShape<NodeId>(16, (text) => /^[0-9a-f]{16}$/.test(text));

const loadShape: Shape<ResolvedLoad> = objectShape({
  contextTokens: integerShape(1, 16 * 1024 * 1024),
  slots: integerShape(1, 4096),
  batchTokens: integerShape(1, 16 * 1024 * 1024),
  gpuLayers: integerShape(-1, 100_000),
  mainGpu: maybeShape(integerShape(0, 1_000)),
  mmap: booleanShape,
  flashAttention: choiceShape(["auto", "on", "off"]),
  kvCacheType: choiceShape(["f16", "q8_0", "q4_0"]),
  mode: choiceShape(["generate", "embed"]),
  threads: integerShape(0, 1024),
  shard: maybeShape(choiceShape(["always"])),
  exact: maybeShape(choiceShape(["auto", "on", "off"])),
  speculates: maybeShape(booleanShape),
});

/** The first frame of a lease. */
const leaseOpeningShape = objectShape({
  version: integerShape(0),
  requestId: textShape(128),
  /** As the asking node's catalogue spells it. */
  name: textShape(1024),
  manifestDigest: hashHexShape,
  load: loadShape,
  /** Absent = as the model is kept now. Infinity = for ever. */
  keepAliveMs: maybeShape(numberShape(0)),
  standing: choiceShape(["fresh", "resumed"]),
  /** Whether the model may be loaded over several nodes; absent = no. Older nodes pass over it, and refuse. */
  split: maybeShape(choiceShape(["if_too_large", "always"])),
  /** Whose it is, and how urgent; absent = nobody's, at any time. */
  account: maybeShape(objectShape({
    tenant: textShape(TENANT_CHARS_MAX),
    priority: choiceShape(["high", "normal", "low"]),
    /** Until its answer must be whole; absent = whenever. Milliseconds, as clocks differ. */
    leftMs: maybeShape(numberShape(-1e12, 1e12)),
  })),
  promptTokens: maybeShape(count),
  /** Absent = as many as it likes. */
  answerTokensMax: maybeShape(count),
  /** What the client's answer is labelled with, and where in its trace the lease is; older nodes pass over both. */
  label: maybeShape(textShape(LABEL_CHARS_MAX)),
  /** See `AnswerJournalWish`; older nodes pass over it, and the slot of a dead asker is free once gossip says so. */
  answer: maybeShape(textShape(ANSWER_CHARS_MAX)),
  traceparent: maybeShape(textOfShape(TRACEPARENT_CHARS, isTraceparent)),
});

/** As {@link leaseOpeningShape} reads it. */
export type LeaseOpening = ShapeOf<typeof leaseOpeningShape>;

const prompt = unionShape({
  text: objectShape({
    text: textShape(TEXT_CHARS_MAX),
    addSpecial: booleanShape,
    tokensBefore: maybeShape(tokens),
  }),
  tokens: objectShape({ tokens }),
});

const figure = numberShape(-1e12, 1e12);
const sequenceRequest: Shape<SequenceRequest> = objectShape({
  prompt,
  images: maybeShape(arrayShape(byteStringShape(IMAGES_BYTES_MAX), IMAGES_MAX)),
  emittedTokens: tokens,
  sampler: objectShape({
    temperature: figure,
    topK: figure,
    topP: figure,
    minP: figure,
    typicalP: figure,
    repeatLastTokens: figure,
    repeatPenalty: figure,
    presencePenalty: figure,
    frequencyPenalty: figure,
    seed: integerShape(0, 0xffff_ffff),
  }),
  predictTokensMax: count,
  keepTokens: integerShape(-1),
  onLongPrompt: choiceShape(["truncate", "refuse"]),
  onFullContext: choiceShape(["shift", "stop"]),
  grammar: nullableShape(textShape(GRAMMAR_CHARS_MAX)),
  topLogprobs: integerShape(-1, 20),
  shownTags: maybeShape(arrayShape(textShape(TAG_CHARS_MAX), TAGS_MAX)),
  /** Older nodes pass over it, and speculate never. */
  speculates: maybeShape(booleanShape),
  /** Older nodes pass over it, and compute. */
  cellsAt: maybeShape(arrayShape(nodeId, CELLS_KEEPERS_MAX)),
});

/** What the asking node says while it holds the lease. Closing the stream, however it happens, gives the slot back. */
const commandShape = unionShape({
  generate: objectShape({ id, request: sequenceRequest }),
  cancel: objectShape({ id }),
  embed: objectShape({
    id,
    inputs: arrayShape(textShape(TEXT_CHARS_MAX), INPUTS_MAX),
    onLongInput: choiceShape(["truncate", "refuse"]),
    query: maybeShape(textShape(TEXT_CHARS_MAX)),
  }),
  tokenize: objectShape({
    id,
    text: textShape(TEXT_CHARS_MAX),
    addSpecial: booleanShape,
    tokensWanted: maybeShape(count),
  }),
  detokenize: objectShape({ id, tokens }),
  /** Still here. */
  beat: objectShape({}),
});

/** As {@link readCommand} reads it. */
export type LeaseCommand = ShapeOf<typeof commandShape>;

const exactnessShape: Shape<Exactness> = objectShape({
  isExact: booleanShape,
  isPossible: booleanShape,
  policy: choiceShape([
    "plain",
    "short",
    "unpacked",
    "paired",
    "unpacked_paired",
    "single_thread",
  ]),
  reason: textShape(4096),
  prefillRatio: numberShape(0),
  decodeRatio: numberShape(0),
  proofMs: numberShape(0),
});

const factsShape: Shape<LoadedFacts> = objectShape({
  contextTokens: count,
  trainingContextTokens: count,
  vocabularyTokens: count,
  embeddingLength: count,
  slots: count,
  memoryBytes: numberShape(0),
  deviceMemoryBytes: numberShape(0),
  hostMemoryBytes: maybeShape(numberShape(0)),
  bosText: textShape(1024),
  eosText: textShape(1024),
  canShift: booleanShape,
  imageFault: maybeShape(textShape(1024)),
  numericClass: textShape(1024),
  exactness: maybeShape(exactnessShape),
  speculates: maybeShape(booleanShape),
});

const logprob = numberShape(-Infinity, 1e6);
const tokenBytes = byteStringShape(TOKEN_BYTES_MAX);
const answerToken = objectShape({
  token,
  bytes: tokenBytes,
  logprob: maybeShape(logprob),
  topLogprobs: maybeShape(arrayShape(objectShape({ token, bytes: tokenBytes, logprob }), 64)),
});
const event: Shape<SequenceEvent> = unionShape({
  started: objectShape({
    promptTokens: tokens,
    cachedTokens: count,
    /** Older nodes don't say. */
    prefix: maybeShape(
      objectShape({
        matchedTokens: count,
        source: choiceShape(PREFIX_SOURCES),
        end: choiceShape(PREFIX_ENDS),
      }),
    ),
  }),
  tokens: objectShape({ tokens: arrayShape(answerToken, TOKENS_MAX) }),
  finished: objectShape({
    reason: choiceShape(["end", "length", "cancelled"]),
    prefillNs: numberShape(0),
    decodeNs: numberShape(0),
    /** Older nodes don't say. */
    drafts: maybeShape(objectShape({ drafted: count, accepted: count })),
  }),
});

/** Parts of a model; llama.cpp computes one on no more. */
const SHARDS_MAX = 16;
const splitShape: Shape<SplitView> = objectShape({
  shards: arrayShape(
    objectShape({
      name: textShape(TAG_CHARS_MAX),
      firstLayer: count,
      layerCount: count,
      memoryBytes: count,
      device: maybeShape(textShape(TAG_CHARS_MAX)),
    }),
    SHARDS_MAX,
  ),
  msPerToken: numberShape(0),
  linkBytesPerToken: count,
});

/** What the serving node says. */
const replyShape = unionShape({
  granted: objectShape({
    facts: factsShape,
    processId: count,
    loadNs: numberShape(0),
    /** Of a model that several nodes compute; older nodes don't say. */
    split: maybeShape(splitShape),
  }),
  /** No lease; the last message. */
  refused: objectShape({ error: wireErrorShape }),
  event: objectShape({ id, event }),
  embedded: objectShape({
    id,
    /** Little-endian 32-bit floats. */
    vectors: arrayShape(byteStringShape(TOKENS_MAX), INPUTS_MAX),
    promptTokens: count,
  }),
  tokenized: objectShape({ id, tokens }),
  detokenized: objectShape({ id, bytes: byteStringShape(TEXT_CHARS_MAX) }),
  /** The command came to nothing; the lease goes on, except after `runner_lost`. */
  failed: objectShape({ id, error: wireErrorShape }),
  beat: objectShape({}),
});

/** As {@link readReply} reads it. */
export type LeaseReply = ShapeOf<typeof replyShape>;

/** @throws PeerError `malformed_frame`; `unknown_version` for a lease of another time. */
export function readOpening(value: unknown): LeaseOpening {
  const { version } = required(objectShape({ version: integerShape(0) }), value);
  if (version !== LEASE_VERSION) {
    throw new PeerError(
      "unknown_version",
      `Leases of version ${LEASE_VERSION} are served here: version ${version} was asked for`,
    );
  }
  return required(leaseOpeningShape, value);
}

/** @throws PeerError `malformed_frame`. */
export function readCommand(value: unknown): LeaseCommand {
  return required(commandShape, value);
}

/** @throws PeerError `malformed_frame`. */
export function readReply(value: unknown): LeaseReply {
  return required(replyShape, value);
}

/** @throws PeerError `malformed_frame` with the place and what is wrong there. */
export function required<T>(shape: Shape<T>, value: unknown): T {
  const read = readShape(shape, value);
  if (read.kind === "decoded") return read.value;
  throw new PeerError("malformed_frame", `A peer's message: ${read.reason}`);
}
