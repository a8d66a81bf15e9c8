/**
 * The transport port over QUIC: one UDP port per node for everything its members say to each other. Never decides what
 * is said, and never believes a connection's state; the core's own timers do the deciding. Start with
 * `open_transport.ts`; `cbor.ts` is how values on streams are encoded.
 *
 * @module
 */
export {
  advertisedAddresses,
  type AdvertisingParts,
  announce,
  Announcing,
  type DiscoveryParts,
  findNodes,
  type HeardNode,
  openMulticast,
  portOf,
  watchAddresses,
} from "./discovery/mod.ts";
export { decodeValue, encodeValue } from "./cbor.ts";
export { seedDialer } from "./connecting/mod.ts";
export type { FramePipe, JoinHandler } from "./frame_pipe.ts";
export { formatAddress } from "./resolve_address.ts";
export { openTransport, type OpenTransportOptions, type QuicTransport } from "./open_transport.ts";
export { askRemote, type KnownMembers, type RemoteNode } from "./remote/mod.ts";
export type { ClientHandler } from "./remote/mod.ts";
export { TRANSPORT_LIMITS, type TransportLimits } from "./limits.ts";
export {
  type Authority,
  type AuthorityChain,
  authorityIds,
  type ClusterMembership,
  type ClusterOrigin,
  createAuthority,
  generateSigningKey,
  greet,
  type GreetedPeer,
  type GreetOptions,
  type HelloFailure,
  helloFailureOf,
  isSuccessor,
  issueCertificate,
  judgeCertificate,
  type NodeIdentity,
  nodeIdentity,
  openIdentity,
  type OpenIdentityOptions,
  parseAuthority,
  parseChain,
  parseSigningKey,
  serverNameOf,
  type SigningKey,
  type StoredIdentity,
  succeedAuthority,
  verifySignature,
} from "./identity/mod.ts";
export {
  type AnsweredJoin,
  answerJoin,
  type AnswerJoinParts,
  type AskedMember,
  askStanding,
  type DialSeed,
  exchangeRecoveries,
  hashSecret,
  type JoinAttempt,
  joinCluster,
  type JoinClusterParts,
  type JoinConnection,
  type JoinPatience,
  type JoinRequest,
  orTellsOfRecoveries,
  type OwnStanding,
  type Seed,
  tokenVerifier,
} from "./joining/mod.ts";
