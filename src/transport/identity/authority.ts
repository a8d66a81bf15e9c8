import type { NodeId } from "../../base/mod.ts";
import { clusterIdOf, nodeIdOf } from "../../protocol/mod.ts";
import { AUTHORITY_NAME, CERTIFICATE_EARLY_MS } from "./anchors.ts";
import type { Authority } from "./authority_chain.ts";
import { readCertificate, signCertificate } from "./certificate.ts";
import { parseSigningKey, type SigningKey } from "./keys.ts";
import { formatPem } from "./pem.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const CERTIFICATE_LIFETIME_MS = 365 * DAY_MS;
/**
 * Of what a node shows in TLS. Browsers take a certificate on the word of its hash only if it is valid for two weeks or less
 * in all (WebTransport, 5.5.1), so this and {@link CERTIFICATE_EARLY_MS} stay below that together.
 */
const LEAF_LIFETIME_MS = 12 * DAY_MS;
/** A certificate is replaced when less than this much of its life is left, so that months of failing to do so hurt nobody. */
const RENEWAL_SHARE = 1 / 3;

const CERTIFICATE_LABEL = "CERTIFICATE";
/** A name that each node's certificate has, for who knows the cluster but not yet the node. */
export const CLUSTER_SERVER_NAME = "cluster.odist";

/** The first and the last moment at which a certificate counts, in ms since 1970. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What a node shows in TLS. */
export interface CertificateChain {
  /** Of the node's own key's making, valid for two weeks; DER. */
  readonly leaf: Uint8Array<ArrayBuffer>;
  /** The leaf's. */
  readonly validity: Validity;
  /** The leaf, what the authority says of its key, and what former authorities say of the present one. */
  readonly pem: string;
}

/** Puts a fresh leaf before a node's certificate. */
export async function certificateChain(
  certificate: Uint8Array<ArrayBuffer>,
  by: { readonly key: SigningKey; readonly linksPem: string; readonly nowMs: number },
): Promise<CertificateChain> {
  const { key, linksPem, nowMs } = by;
  const read = readCertificate(certificate);
  if (read === undefined) throw new TypeError("A node's own certificate has been read before");
  const validity = {
    notBeforeMs: nowMs - CERTIFICATE_EARLY_MS,
    notAfterMs: nowMs + LEAF_LIFETIME_MS,
  };
  const leaf = await signCertificate({
    ...read,
    ...validity,
    kind: "leaf",
    // Another name than the issuer's: verifiers take a chain in which one name and key occur twice for a loop.
    subject: serverNameOf(nodeIdOf(key.publicKey)),
    issuer: read.subject,
  }, key);
  const own = formatPem(CERTIFICATE_LABEL, leaf) + formatPem(CERTIFICATE_LABEL, certificate);
  return { leaf, validity, pem: own + linksPem };
}

/** Certifies that a node of this cluster has the key (SPKI); DER, valid for a year. */
export async function issueCertificate(
  authority: Pick<Authority, "privateKeyPem">,
  node: { readonly publicKey: Uint8Array<ArrayBuffer>; readonly nowMs: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const signer = await parseSigningKey(authority.privateKeyPem);
  if (signer === undefined) throw new TypeError("An authority's key has been parsed before");
  const nodeId = nodeIdOf(node.publicKey);
  return await signCertificate({
    kind: "member",
    subject: nodeId,
    issuer: AUTHORITY_NAME,
    publicKey: node.publicKey,
    notBeforeMs: node.nowMs - CERTIFICATE_EARLY_MS,
    notAfterMs: node.nowMs + CERTIFICATE_LIFETIME_MS,
    names: [serverNameOf(nodeId), CLUSTER_SERVER_NAME],
  }, signer);
}

/** The name to ask for when connecting to a node: its TLS certificate must carry it. */
export function serverNameOf(nodeId: NodeId): string {
  return `${nodeId}.odist`;
}

/** What a peer's certificate turned out to be. */
export type CertificateJudgement =
  | { readonly kind: "valid"; readonly nodeId: NodeId; readonly publicKey: Uint8Array<ArrayBuffer> }
  | {
    readonly kind: "malformed" | "other_authority" | "not_yet_valid" | "expired";
    /** Text safe to show. */
    readonly reason: string;
  };

/**
 * Decides about a certificate by form, signature, time and name; the directory's word comes after. One for a key that is
 * known to be a member's (`isKnownKey`) need not be valid now, and not by this authority: it says no more than the key.
 */
export async function judgeCertificate(
  der: Uint8Array<ArrayBuffer>,
  by: {
    readonly authorityKey: Uint8Array<ArrayBuffer>;
    readonly nowMs: number;
    readonly isKnownKey?: (nodeId: NodeId, publicKey: Uint8Array) => boolean;
  },
): Promise<CertificateJudgement> {
  const certificate = readCertificate(der);
  if (certificate === undefined) return { kind: "malformed", reason: "it can't be read" };
  const isKnown = by.isKnownKey?.(nodeIdOf(certificate.publicKey), certificate.publicKey) ?? false;
  if (!isKnown && !await certificate.isSignedBy(by.authorityKey)) {
    const wanted = clusterIdOf(by.authorityKey);
    return { kind: "other_authority", reason: `it is not signed by cluster ${wanted}'s authority` };
  }
  const { publicKey, names, subject, notBeforeMs, notAfterMs } = certificate;
  const nodeId = nodeIdOf(publicKey);
  if (subject !== nodeId || !names.includes(serverNameOf(nodeId))) {
    const reason = `it names "${subject}" where its key belongs to ${nodeId}`;
    return { kind: "malformed", reason };
  }
  if (isKnown) return { kind: "valid", nodeId, publicKey };
  const now = formatTime(by.nowMs);
  if (by.nowMs < notBeforeMs) {
    const reason = `it is valid from ${formatTime(notBeforeMs)}, and this clock says ${now}`;
    return { kind: "not_yet_valid", reason };
  }
  if (by.nowMs >= notAfterMs) {
    const reason = `it was valid until ${formatTime(notAfterMs)}, and this clock says ${now}`;
    return { kind: "expired", reason };
  }
  return { kind: "valid", nodeId, publicKey };
}

/** Whether a node should replace its certificate: little of its life is left, or none, or this clock is before it. */
export function isRenewalDue({ notBeforeMs, notAfterMs }: Validity, nowMs: number): boolean {
  return nowMs < notBeforeMs || nowMs >= notAfterMs - (notAfterMs - notBeforeMs) * RENEWAL_SHARE;
}

function formatTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
