/**
 * The first contact of a node that wants in, from both sides: `join_cluster.ts` asks, `answer_join.ts` answers. Who belongs
 * is the log's to say. No secret of a token is ever part of a log line or an error.
 *
 * @module
 */
export {
  type AnsweredJoin,
  answerJoin,
  type AnswerJoinParts,
  type JoinRequest,
} from "./answer_join.ts";
export { type AskedMember, askStanding, type OwnStanding } from "./ask_standing.ts";
export {
  type DialSeed,
  joinCluster,
  type JoinClusterParts,
  type JoinConnection,
  type Seed,
} from "./join_cluster.ts";
export { type JoinAttempt, type JoinPatience } from "./join_policy.ts";
export { hashSecret, tokenVerifier } from "./proof.ts";
export { exchangeRecoveries, orTellsOfRecoveries } from "./recovery_word.ts";
