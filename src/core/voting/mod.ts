/**
 * Who votes, and how votes and acknowledgements are counted.
 *
 * @module
 */
export { type ChangesStanding, describeMissing, judgeChanges } from "./changes_standing.ts";
export { Electorate, votersBy } from "./electorate.ts";
export {
  judgeRecovery,
  outlives,
  planRecovery,
  type RecoveryMember,
  type RecoveryPlan,
} from "./recovery.ts";
export {
  couldDecide,
  jointIndex,
  jointVote,
  type JointVoters,
  majorityOf,
  type VoteResult,
} from "./quorum.ts";
