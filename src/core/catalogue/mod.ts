/**
 * The replicated state itself: which commands exist is in `protocol`, what each does is here. Pure; knows nothing of logs,
 * leaders or disks. Start with `catalogue.ts`; `rows.ts` names every table and limit.
 *
 * @module
 */
export { isAudited } from "./apply_command.ts";
export { modelKey } from "./apply_models.ts";
export { type AttemptEnd, BlobAttempts } from "./blob_attempts.ts";
export { type Applied, Catalogue, type CatalogueModel } from "./catalogue.ts";
export {
  admittedMembers,
  AUTHORITY_KEY,
  type AuthorityFacts,
  isOwnSetting,
  isRotationDue,
  type JoinJudgement,
  judgeJoin,
  judgeMember,
  type MemberJudgement,
  type MemberRows,
  type NodeBeforeJoin,
} from "./admission.ts";
export { drainKey, HANDOVER, handoverKey, leaveKey } from "./rows.ts";
export type {
  ApiKeyRow,
  AuditRow,
  MemberRow,
  ModelRow,
  QuarantineRow,
  Refusal,
  SettingRow,
  TokenRow,
  VotersRow,
} from "./rows.ts";
export {
  isRoomNews,
  type PlacedModel,
  type PlacementNode,
  type PlacementOptions,
  planFetches,
  type PlannedFetch,
  planShortages,
} from "./placement.ts";
export {
  judgeOwnModel,
  type LocalModelFacts,
  type LocalModelOrder,
  type NamedManifest,
  reconcileModels,
} from "./reconcile_models.ts";
export {
  leftBehindKey,
  leftBehindOf,
  recoveriesOf,
  recoverySettings,
  refoundCatalogue,
} from "./refound.ts";
export { judgeForwarded, type Outcome, ownedNonce, ReportLimits } from "./sessions.ts";
export {
  chooseHeir,
  nextLookMs,
  planVoters,
  survivesWithout,
  type VoterCandidate,
  VOTERS_DEFAULTS,
  type VotersOptions,
  type VotersPlan,
  type VotersReason,
  type VotersState,
} from "./voters.ts";
export {
  type CopiesReport,
  CopiesReports,
  type LoadReport,
  LoadReports,
  type Moment,
  SpeedAverage,
  SpeedsReports,
  tellingStretch,
} from "./load_reports.ts";
