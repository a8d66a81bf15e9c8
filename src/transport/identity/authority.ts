import type { NodeId } from "../../base/mod.ts";
import { clusterIdOf, nodeIdOf, SIGNATURE_BYTES } from "../../protocol/mod.ts";
import { type CertificateContent, readCertificate, signCertificate } from "./certificate.ts";
import { generateSigningKey, parseSigningKey, type SigningKey } from "./keys.ts";
import { formatPem, parsePem } from "./pem.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
/**
 * How long before its making a certificate begins to be valid: two machines whose clocks differ by less get along. Where
 * they differ by more, the one that is behind refuses certificates made by the other, naming both times.
 */
const CERTIFICATE_EARLY_MS = DAY_MS;
const CERTIFICATE_LIFETIME_MS = 365 * DAY_MS;
/**
 * Of what a node shows in TLS. Browsers take a certificate on the word of its hash only if it is valid for two weeks or less
 * in all (WebTransport, 5.5.1), so this and {@link CERTIFICATE_EARLY_MS} stay below that together.
 */
const LEAF_LIFETIME_MS = 12 * DAY_MS;
const AUTHORITY_LIFETIME_MS = 20 * 365 * DAY_MS;
/** A certificate is replaced when less than this much of its life is left, so that months of failing to do so hurt nobody. */
const RENEWAL_SHARE = 1 / 3;

/** The one name of every authority, so that its key alone tells what a trust anchor must say. */
const AUTHORITY_NAME = "odist";
const CERTIFICATE_LABEL = "CERTIFICATE";
/** A name that each node's certificate has, for who knows the cluster but not yet the node. */
export const CLUSTER_SERVER_NAME = "cluster.odist";

/** Signs what is believed for its name and key alone. */
const NOBODY = { sign: async () => new Uint8Array(SIGNATURE_BYTES).fill(1) };

/** What lets its holder sign certificates of a cluster. Every member has it, so that every member can let others in. */
export interface Authority {
  readonly clusterId: string;
  /** SPKI. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly certificatePem: string;
  /** PKCS#8. Never logged. */
  readonly privateKeyPem: string;
}

/** Makes the authority of a cluster that does not exist yet. */
export async function createAuthority(nowMs: number): Promise<Authority> {
  const key = await generateSigningKey();
  const certificate = await signAuthorityCertificate(key.publicKey, { signer: key, nowMs });
  const { publicKey, privateKeyPem } = key;
  const certificatePem = formatPem(CERTIFICATE_LABEL, certificate);
  return { clusterId: clusterIdOf(publicKey), publicKey, certificatePem, privateKeyPem };
}

/** Takes an authority from its two files or a peer; undefined when they are damaged or don't belong together. */
export async function parseAuthority(
  pems: { readonly certificatePem: string; readonly privateKeyPem: string },
): Promise<Authority | undefined> {
  const der = parsePem(CERTIFICATE_LABEL, pems.certificatePem);
  const certificate = der && readCertificate(der);
  const key = await parseSigningKey(pems.privateKeyPem);
  if (certificate === undefined || key === undefined) return undefined;
  const { publicKey } = key;
  if (clusterIdOf(certificate.publicKey) !== clusterIdOf(publicKey)) return undefined;
  if (!await certificate.isSignedBy(publicKey)) return undefined;
  return { ...pems, clusterId: clusterIdOf(publicKey), publicKey };
}

/**
 * A certificate to verify a cluster's nodes by when only the authority's key is known. It is signed by nobody: a trust
 * anchor counts by its name and key alone (RFC 5280, section 6.1.1).
 */
export async function anchorFromKey(
  authorityKey: Uint8Array<ArrayBuffer>,
  nowMs: number,
): Promise<string> {
  const certificate = await signAuthorityCertificate(authorityKey, { signer: NOBODY, nowMs });
  return formatPem(CERTIFICATE_LABEL, certificate);
}

/** As {@link anchorFromKey}, for the certificates of one member alone: only who has its key (SPKI) can show one. */
export async function anchorFromMemberKey(
  publicKey: Uint8Array<ArrayBuffer>,
  nowMs: number,
): Promise<string> {
  const content = anchorContent(nodeIdOf(publicKey), { publicKey, nowMs });
  const certificate = await signCertificate({ ...content, kind: "authority" }, NOBODY);
  return formatPem(CERTIFICATE_LABEL, certificate);
}

/** What a node shows in TLS. */
export interface CertificateChain {
  /** Of the node's own key's making, valid for two weeks; DER. */
  readonly leaf: Uint8Array<ArrayBuffer>;
  /** The leaf, and behind it what the authority says of that key. */
  readonly pem: string;
}

/** Puts a fresh leaf before a node's certificate. */
export async function certificateChain(
  certificate: Uint8Array<ArrayBuffer>,
  by: { readonly key: SigningKey; readonly nowMs: number },
): Promise<CertificateChain> {
  const { key, nowMs } = by;
  const read = readCertificate(certificate);
  if (read === undefined) throw new TypeError("A node's own certificate has been read before");
  const leaf = await signCertificate({
    ...read,
    kind: "leaf",
    notBeforeMs: nowMs - CERTIFICATE_EARLY_MS,
    notAfterMs: nowMs + LEAF_LIFETIME_MS,
    // Another name than the issuer's: verifiers take a chain in which one name and key occur twice for a loop.
    subject: serverNameOf(nodeIdOf(key.publicKey)),
    issuer: read.subject,
  }, key);
  const pem = formatPem(CERTIFICATE_LABEL, leaf) + formatPem(CERTIFICATE_LABEL, certificate);
  return { leaf, pem };
}

/** Certifies that a node of this cluster has the key (SPKI); DER, valid for a year. */
export async function issueCertificate(
  authority: Authority,
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

/** Decides about a certificate by form, signature, time and name; the directory's word comes after. */
export async function judgeCertificate(
  der: Uint8Array<ArrayBuffer>,
  by: { readonly authorityKey: Uint8Array<ArrayBuffer>; readonly nowMs: number },
): Promise<CertificateJudgement> {
  const certificate = readCertificate(der);
  if (certificate === undefined) return { kind: "malformed", reason: "it can't be read" };
  if (!await certificate.isSignedBy(by.authorityKey)) {
    const wanted = clusterIdOf(by.authorityKey);
    return { kind: "other_authority", reason: `it is not signed by cluster ${wanted}'s authority` };
  }
  const { publicKey, names, subject, notBeforeMs, notAfterMs } = certificate;
  const nodeId = nodeIdOf(publicKey);
  if (subject !== nodeId || !names.includes(serverNameOf(nodeId))) {
    const reason = `it names "${subject}" where its key belongs to ${nodeId}`;
    return { kind: "malformed", reason };
  }
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
export function isRenewalDue(der: Uint8Array<ArrayBuffer>, nowMs: number): boolean {
  const certificate = readCertificate(der);
  if (certificate === undefined) return true;
  const { notBeforeMs, notAfterMs } = certificate;
  return nowMs < notBeforeMs || nowMs >= notAfterMs - (notAfterMs - notBeforeMs) * RENEWAL_SHARE;
}

async function signAuthorityCertificate(
  publicKey: Uint8Array<ArrayBuffer>,
  by: { readonly signer: Pick<SigningKey, "sign">; readonly nowMs: number },
): Promise<Uint8Array<ArrayBuffer>> {
  return await signCertificate({
    ...anchorContent(AUTHORITY_NAME, { publicKey, nowMs: by.nowMs }),
    kind: "authority",
  }, by.signer);
}

function anchorContent(
  name: string,
  of: { readonly publicKey: Uint8Array<ArrayBuffer>; readonly nowMs: number },
): CertificateContent {
  return {
    subject: name,
    issuer: name,
    publicKey: of.publicKey,
    notBeforeMs: of.nowMs - CERTIFICATE_EARLY_MS,
    notAfterMs: of.nowMs + AUTHORITY_LIFETIME_MS,
    names: [],
  };
}

function formatTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
