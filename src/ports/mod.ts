/**
 * The interfaces between core and world: types only, one file each, with the contract (ordering, durability, limits,
 * how it fails) beside each method.
 *
 * @module
 */
export type { BlobPeers, BlobRange, BlobSource, TransferLimits } from "./blob_source.ts";
export type {
  BlobReader,
  BlobStore,
  PartialBlob,
  PartialBlobPart,
  RangeStore,
} from "./blob_store.ts";
export type { Clock } from "./clock.ts";
export type {
  Answer,
  AnswerChunk,
  AnswerJournalWish,
  AnswerMetrics,
  ArrivingModel,
  ChangesView,
  ChatRequest,
  CreateRequest,
  DetokenizeAnswer,
  DetokenizeRequest,
  EmbedAnswer,
  EmbedRequest,
  GenerateRequest,
  LineChanges,
  ListedModel,
  LoadedModelRow,
  ModelApi,
  ModelDetails,
  PromptUsage,
  QueuePlace,
  QueueWait,
  Readiness,
  RequestAccount,
  RequestOptions,
  ShardRow,
  ShownModel,
  ShowRequest,
  TokenizeAnswer,
  TokenizeRequest,
  TokenLogprobRow,
  ToolChoice,
  TransferProgress,
  TransferRequest,
  VocabularyFigures,
} from "./model_api.ts";
export { WARNING_STATUS } from "./model_api.ts";
export type {
  AuditRowView,
  ChangeMaker,
  ClusterAdmin,
  ClusterStatus,
  GroupRole,
  KeyAccess,
  KeyGrant,
  KeyLimits,
  KeyRowView,
  KeyVerdict,
  KeyWish,
  LeaveOutcome,
  MemberLoad,
  MemberStatus,
  ModelPlacement,
  PrefixReuse,
  QueueRowView,
  RecoveryView,
  RouteExplanation,
  RouteScore,
  ServedLease,
  SplitExplanation,
  TokenRowView,
  WakeExplanation,
  WebTransportContact,
} from "./cluster_admin.ts";
export type { Disk } from "./disk.ts";
export type { Devices, Engine, LoadedModel, LoadOptions, SplitView } from "./engine.ts";
export {
  BEFORE_CHANGE,
  type CatalogEntry,
  type Consistency,
  type ModelCatalog,
  type ReadOptions,
  type Replacement,
} from "./model_catalog.ts";
export type {
  AnswerJournals,
  AnswerPlace,
  CellPeers,
  CellStore,
  ClientWork,
  FollowedAnswer,
  FoundResponse,
  JournalWork,
  KeptAnswer,
  KeptFile,
  KeptResponses,
  MovedCells,
  NodeReport,
  OwnJournal,
  PageFileName,
  PageFiles,
  RequestAsker,
  RequestRow,
  ResponseRecord,
  SecretFiles,
  SoughtCells,
  WholeCells,
  WorkElsewhere,
} from "./kept_files.ts";
export type { LogOrder, RaftLogReader, RaftLogStore } from "./raft_log.ts";
export type {
  CourseStart,
  IncidentWish,
  Log,
  LogLevel,
  MetricExample,
  MetricFormat,
  MetricLabels,
  Metrics,
  RecordedPart,
  Recorder,
  StepRecorder,
} from "./telemetry.ts";
export type {
  ConnectionView,
  PeerAddress,
  PeerDirectory,
  PeerStream,
  Transport,
  TransportHandlers,
} from "./transport.ts";
export type { CoreSeconds, NetworkCard, Power } from "./power.ts";
export type { QuantizationTarget, Quantizer } from "./quantizer.ts";
export type { RegistryKey } from "./kept_files.ts";
