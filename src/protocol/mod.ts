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
  kindOf,
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
export {
  type AddressReaders,
  joinAddresses,
  parseAddress,
  readLists,
  splitAddresses,
} from "./address_list.ts";
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
export { fromWireError, toWireError, type WireError, wireErrorShape } from "./wire_error.ts";
export { parseScopes, type Scope, SCOPES, scopesField } from "./scopes.ts";
export * from "./contact/mod.ts";
export * from "./gossip/mod.ts";
export * from "./model/mod.ts";
export * from "./raft/mod.ts";
