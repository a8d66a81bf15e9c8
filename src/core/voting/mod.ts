/**
 * Who votes, and how votes and acknowledgements are counted.
 *
 * @module
 */
export { Electorate, votersBy } from "./electorate.ts";
export { jointIndex, jointVote, type JointVoters, type VoteResult } from "./quorum.ts";
