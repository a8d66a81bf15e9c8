import type { NodeId } from "../../base/mod.ts";
import { nodeIdOf } from "../../protocol/mod.ts";
import { anchorFromKey } from "./anchors.ts";
import { certificateChain, type Validity } from "./authority.ts";
import { type AuthorityChain, linksPem } from "./authority_chain.ts";
import type { SigningKey } from "./keys.ts";

/** Who this node is to others. Replaced as a whole when its certificate is renewed; the ids and the key stay. */
export interface NodeIdentity {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  /** For `QuicEndpoint.listen`: the whole chain. */
  readonly certificatePem: string;
  /** For `QuicEndpoint.listen`. Never logged. */
  readonly privateKeyPem: string;
  /** For `caCerts` of `connectQuic`. */
  readonly authorityPem: string;
  /** SPKI of the authority. */
  readonly authorityKey: Uint8Array<ArrayBuffer>;
  /** What is shown in TLS before {@link certificate}; DER. */
  readonly leaf: Uint8Array<ArrayBuffer>;
  /** The leaf's: whoever made it needn't read it to know. */
  readonly leafValidity: Validity;
  /** What the authority says of this node's key; DER. */
  readonly certificate: Uint8Array<ArrayBuffer>;
  /** SPKI. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** By the node's key, 64 bytes. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** What an identity is put together from. */
export interface IdentityParts {
  readonly key: SigningKey;
  /** DER, for the key. */
  readonly certificate: Uint8Array<ArrayBuffer>;
  readonly authority: AuthorityChain;
  /** When the leaf is made. */
  readonly nowMs: number;
}

/** Puts a node's identity together. */
export async function nodeIdentity(parts: IdentityParts): Promise<NodeIdentity> {
  const { key, certificate, authority, nowMs } = parts;
  const { leaf, validity, pem } = await certificateChain(certificate, {
    key,
    linksPem: linksPem(authority),
    nowMs,
  });
  return {
    nodeId: nodeIdOf(key.publicKey),
    clusterId: authority.clusterId,
    certificatePem: pem,
    privateKeyPem: key.privateKeyPem,
    authorityPem: await anchorFromKey(authority.publicKey, nowMs),
    authorityKey: authority.publicKey,
    leaf,
    leafValidity: validity,
    certificate,
    publicKey: key.publicKey,
    sign: (bytes) => key.sign(bytes),
  };
}
