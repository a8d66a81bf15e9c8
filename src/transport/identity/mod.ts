/**
 * Who a node is and how it proves it: keys and certificates (`authority.ts`) and the hello between members. Nothing here decides who belongs; the directory and the log do. No private key and no
 * secret of a token is ever part of a log line or an error.
 *
 * @module
 */
export { formatPem } from "./pem.ts";
export { anchorFromKey, anchorFromMemberKey } from "./anchors.ts";
export {
  type Authority,
  type AuthorityChain,
  authorityIds,
  createAuthority,
  isSuccessor,
  parseAuthority,
  parseChain,
  succeedAuthority,
} from "./authority_chain.ts";
export {
  type CertificateJudgement,
  CLUSTER_SERVER_NAME,
  issueCertificate,
  judgeCertificate,
  serverNameOf,
} from "./authority.ts";
export {
  greet,
  type GreetedPeer,
  type GreetOptions,
  type HelloFailure,
  helloFailureOf,
} from "./greet.ts";
export { generateSigningKey, parseSigningKey, type SigningKey, verifySignature } from "./keys.ts";
export { type IdentityParts, type NodeIdentity, nodeIdentity } from "./node_identity.ts";
export {
  type ClusterMembership,
  openIdentity,
  type OpenIdentityOptions,
  type StoredIdentity,
} from "./open_identity.ts";
export type { ClusterOrigin } from "./identity_record.ts";
