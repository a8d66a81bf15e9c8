import type { SequenceRequest } from "../../src/protocol/mod.ts";

/** The likeliest token each time. */
export const GREEDY: SequenceRequest["sampler"] = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  typicalP: 1,
  repeatLastTokens: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 1,
};
