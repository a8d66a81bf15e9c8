/**
 * Who belongs: joining and answering joins, the keys of members, the authority's key among the voters. It never decides what a member
 * may say afterwards. Start reading in `directory.ts`.
 *
 * @module
 */
export { admitsJoiners } from "./admission.ts";
export { CatalogueDirectory, MemberWatch } from "./directory.ts";
export { findMembers, joinIfWished } from "./join.ts";
export { type AuthorityKeeping, keepAuthority, openDirectory } from "./keeping.ts";
export {
  finishRecovery,
  forgetRecoveredState,
  NOTHING_RECOVERED,
  prepareRecovery,
  type RecoveredStart,
  recoveredState,
} from "./recover.ts";
export { RecoveryWord } from "./recovery_word.ts";
export { renewRegularly } from "./renewal.ts";
export { askOwnStanding, shutOutText, watchStanding } from "./own_standing.ts";
export type { ShutOut, StandingWatch } from "./standing_watch.ts";
export { VOUCH_PURPOSE, vouchServer } from "./vouching.ts";
