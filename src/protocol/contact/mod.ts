/**
 * What is said before two nodes, or a client and a node, know each other: hellos, joins, tokens, keys. It never proves anything
 * itself. Start reading in `hello.ts`.
 *
 * @module
 */
export {
  type Announcement,
  decodeDiscovery,
  DISCOVERY_BYTES_MAX,
  type DiscoveryPacket,
  encodeDiscovery,
} from "./announcement.ts";
export {
  type ApiKey,
  decodeApiKey,
  decodeJoinToken,
  encodeApiKey,
  encodeJoinToken,
  type JoinToken,
} from "./credential.ts";
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
} from "./client.ts";
export {
  CERTIFICATE_BYTES_MAX,
  decodeHello,
  encodeHello,
  HELLO_FRAME_BYTES_MAX,
  HELLO_VERSIONS,
  type HelloAnswer,
  type HelloFrame,
  type HelloOffer,
  type HelloRefusal,
  helloTranscript,
  NONCE_BYTES,
  SIGNATURE_BYTES,
} from "./hello.ts";
export {
  decodeJoin,
  encodeJoin,
  JOIN_MEMBERS_MAX,
  JOIN_REVOKED_MAX,
  JOIN_VERSIONS,
  type JoinAnswer,
  type JoinChallenge,
  type JoinedMember,
  type JoinFrame,
  type JoinOpening,
  type JoinRefusal,
  type JoinSaid,
  joinTranscript,
  STANDING_QUESTION,
} from "./join.ts";
export { clusterIdOf, nodeIdOf } from "./node_id.ts";
export { agreeOnVersions, type SpokenVersions, spokenVersions } from "./versions.ts";
export {
  decodeLeftBehind,
  decodeSignedRecovery,
  encodeLeftBehind,
  encodeSignedRecovery,
  type LeftBehind,
  RECOVERIES_MAX,
  type Recovery,
  recoveryBytes,
  type RecoveryTalk,
  type SignedRecovery,
} from "./recovery.ts";
