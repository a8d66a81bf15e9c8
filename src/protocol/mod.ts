/**
 * The shapes processes send each other, their versions and limits. Pure types and pure codecs; no transport.
 *
 * @module
 */
export { ByteReader, ByteWriter, type Decoded } from "./bytes.ts";
export {
  accessIdField,
  CATALOGUE_COMMAND_BYTES_MAX,
  CATALOGUE_MANIFEST_BYTES_MAX,
  CATALOGUE_SCHEMA,
  type CatalogueCommand,
  type ChangeOrigin,
  decodeAsk,
  decodeCommand,
  type DecodedCommand,
  digestField,
  encodeCommand,
  labelField,
  modelNameField,
  nodeIdField,
  ORIGIN_BYTES_MAX,
  ORIGIN_SCHEMA,
  originFields,
  publicKeyField,
  REPLICAS_MAX,
  type RequestStamp,
  schemaOf,
  secretHashField,
  SESSION_NONCE_BYTES,
  settingKeyField,
  settingValueField,
  type StampedCommand,
  timeField,
  votersField,
} from "./catalogue.ts";
export type { ChatMessage, ThinkLevel, Tool, ToolCall } from "./chat.ts";
export type {
  AppendRejection,
  AppendRequest,
  AppendResponse,
  Entry,
  EntryId,
  GroupAction,
  GroupChange,
  GroupConfiguration,
  GroupStep,
  HardState,
  HeartbeatRequest,
  HeartbeatResponse,
  Proposal,
  ProposalForward,
  RaftMessage,
  ReadIndexRequest,
  ReadIndexResponse,
  Snapshot,
  SnapshotChunk,
  SnapshotChunkAck,
  SnapshotRequest,
  TimeoutNow,
  TransferRequest,
  VoteRequest,
  VoteResponse,
} from "./raft/mod.ts";
export {
  type Accusation,
  ADDRESS_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  type LifeStamp,
  type MemberClaim,
  type MembershipDatagram,
  type MembershipSync,
  type MemberStanding,
  type Piggyback,
  SYNC_BUCKETS,
  SYNC_BYTES_MAX,
  type SyncRow,
  VALUE_BYTES_MAX,
  VALUE_KEY_BYTES_MAX,
  type ValueDelta,
  type ValueEntry,
  type ValueRumor,
  type ValueWant,
} from "./membership.ts";
export {
  decodeDatagram,
  decodeSync,
  encodeClaimPart,
  encodeDatagramHead,
  encodeSync,
  encodeValuePart,
  syncRowBytes,
  valueEntryBytes,
} from "./membership_codec.ts";
export {
  bytesField,
  type FieldCodec,
  listField,
  recordField,
  textField,
  uintField,
  type ValueOf,
} from "./field_codec.ts";
export {
  decodeRaftFrame,
  encodeRaftFrames,
  type FrameEnds,
  type RaftWireMessage,
} from "./raft/mod.ts";
export { entryField, entryIdField, hardStateField, snapshotField } from "./raft/mod.ts";
export {
  type LoadedFacts,
  type LoadSettings,
  type ModelCommand,
  type ModelReply,
  RUNNER_FRAME_BYTES_MAX,
  RUNNER_PROTOCOL_VERSION,
  type RunnerCommand,
  type RunnerReply,
} from "./model/mod.ts";
export type {
  AnswerToken,
  FinishReason,
  Prompt,
  SamplerSettings,
  SequenceEvent,
  SequenceRequest,
  TokenLogprob,
} from "./model/mod.ts";
export {
  type BlobLayer,
  encodeManifest,
  type Manifest,
  MANIFEST_BYTES_MAX,
  MANIFEST_MEDIA_TYPE,
  parseManifest,
} from "./manifest.ts";
export {
  displayModelName,
  formatModelName,
  isModelName,
  isSameModelName,
  type ModelName,
  parseKeptName,
  parseModelName,
} from "./model_name.ts";
export { knownSpelling } from "./known_spelling.ts";

export {
  CERTIFICATE_BYTES_MAX,
  decodeHello,
  encodeHello,
  HELLO_FRAME_BYTES_MAX,
  HELLO_VERSION,
  type HelloAnswer,
  type HelloFrame,
  type HelloOffer,
  type HelloRefusal,
  helloTranscript,
  NONCE_BYTES,
  SIGNATURE_BYTES,
} from "./contact/mod.ts";
export {
  decodeJoin,
  encodeJoin,
  JOIN_MEMBERS_MAX,
  JOIN_REVOKED_MAX,
  JOIN_VERSION,
  type JoinAnswer,
  type JoinChallenge,
  type JoinedMember,
  type JoinFrame,
  type JoinOpening,
  type JoinRefusal,
  type JoinSaid,
  joinTranscript,
} from "./contact/mod.ts";
export { decodeJoinToken, encodeJoinToken, type JoinToken } from "./contact/mod.ts";
export { type ApiKey, decodeApiKey, encodeApiKey } from "./contact/mod.ts";
export {
  type AnswerHead,
  answerHeadShape,
  CLIENT_FRAME_BYTES_MAX,
  CLIENT_MEMBERS_MAX,
  CLIENT_PATH,
  clientHelloShape,
  type ClientVerdict,
  clientVerdictShape,
  type RequestHead,
  requestHeadShape,
} from "./contact/mod.ts";
export {
  type Announcement,
  decodeDiscovery,
  DISCOVERY_BYTES_MAX,
  type DiscoveryPacket,
  encodeDiscovery,
} from "./contact/mod.ts";
export { clusterIdOf, nodeIdOf } from "./contact/mod.ts";
export {
  CHANNEL_FRAME_BYTES_MAX,
  decodeStreamHeader,
  decodeVerdict,
  encodeStreamHeader,
  encodeVerdict,
  FRAME_LENGTH_BYTES,
  type FrameChannel,
  LIFE_BYTES,
  STREAM_END_LENGTH,
  STREAM_FRAME_BYTES_MAX,
  STREAM_HEADER_BYTES,
  type StreamKind,
  type Verdict,
} from "./channels.ts";
export { decodeNodeDisk, encodeNodeDisk, NODE_DISK_KEY, type NodeDisk } from "./gossip/mod.ts";
export { decodeNodeFence, encodeNodeFence, NODE_FENCE_KEY, type NodeFence } from "./gossip/mod.ts";
export {
  decodeNodeFacts,
  decodeNodeLoad,
  encodeNodeFacts,
  encodeNodeLoad,
  NODE_FACTS_KEY,
  NODE_LOAD_KEY,
  type NodeFacts,
  type NodeLoad,
} from "./gossip/mod.ts";
export {
  decodeLoadedCopies,
  encodeLoadedCopies,
  LOADED_COPIES_KEY,
  type LoadedCopies,
  type LoadedCopy,
} from "./gossip/mod.ts";
export {
  decodeInventory,
  encodeInventory,
  type Inventory,
  type ManifestPrefix,
  manifestPrefixOf,
} from "./gossip/mod.ts";
export {
  arrayShape,
  booleanShape,
  byteStringShape,
  choiceShape,
  hashHexShape,
  integerShape,
  maybeShape,
  nullableShape,
  numberShape,
  objectShape,
  readShape,
  type Shape,
  type ShapeOf,
  textOfShape,
  textShape,
  unionShape,
  unknownShape,
} from "./value_shape.ts";
export { vectorFromBytes, vectorToBytes } from "./model/mod.ts";
export { fromWireError, toWireError, type WireError, wireErrorShape } from "./wire_error.ts";
export { parseScopes, type Scope, SCOPES, scopesField } from "./scopes.ts";
