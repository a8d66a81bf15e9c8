/**
 * The failover of one answer, and the search for its slots: what happens when a runner or its node dies, refuses, hangs or
 * drains. Never touches a stream or a clock: facts in, orders out. Start with `events.ts`, then `answer.ts`; `slot_search.ts`
 * stands alone, and `limits.ts` holds every wait and count.
 *
 * @module
 */
export { AnswerMachine, type AnswerWish, Resumption } from "./answer.ts";
export type { AnswerFact, AnswerOrder, AnswerReport, AnswerSequence } from "./events.ts";
export {
  ASKER_SILENCE_MS,
  LEASE_BEAT_MS,
  LEASE_COMMANDS_MAX,
  LEASES_PER_PEER_MAX,
  type Patience,
  patienceWith,
  PEER_DOUBT,
  SPLIT_LEASE,
} from "./limits.ts";
export {
  estimatePromptTokens,
  type KnownHolder,
  PeerBeliefs,
  type PromptTrace,
  type TracedPrompt,
  traceOf,
  withMoves,
} from "./peer_beliefs.ts";
export { PrefixBook, sketchedChars } from "./prefix_sketch.ts";
export { type SearchFact, type SearchOrder, SlotSearch } from "./slot_search.ts";
