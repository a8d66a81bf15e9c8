import { nodeIdOf, SIGNATURE_BYTES } from "../../protocol/mod.ts";
import { type CertificateContent, signCertificate } from "./certificate.ts";
import type { SigningKey } from "./keys.ts";
import { formatPem } from "./pem.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
/**
 * How long before its making a certificate begins to be valid: two machines whose clocks differ by less get along. Where
 * they differ by more, the one that is behind refuses certificates made by the other, naming both times.
 */
export const CERTIFICATE_EARLY_MS = DAY_MS;
const AUTHORITY_LIFETIME_MS = 20 * 365 * DAY_MS;
/** The one name of every authority, so that its key alone tells what a trust anchor must say. */
export const AUTHORITY_NAME = "odist";
const CERTIFICATE_LABEL = "CERTIFICATE";

/** Signs what is believed for its name and key alone. */
const NOBODY = { sign: async () => new Uint8Array(SIGNATURE_BYTES).fill(1) };

/** The certificate that an authority makes of itself; DER. */
export async function selfSigned(
  publicKey: Uint8Array<ArrayBuffer>,
  by: { readonly signer: Pick<SigningKey, "sign">; readonly nowMs: number },
): Promise<Uint8Array<ArrayBuffer>> {
  return await signCertificate({
    ...anchorContent(AUTHORITY_NAME, { publicKey, nowMs: by.nowMs }),
    kind: "authority",
  }, by.signer);
}

/**
 * A certificate to verify a cluster's nodes by when only the authority's key is known. It is signed by nobody: a trust
 * anchor counts by its name and key alone (RFC 5280, section 6.1.1).
 */
export async function anchorFromKey(
  authorityKey: Uint8Array<ArrayBuffer>,
  nowMs: number,
): Promise<string> {
  const certificate = await selfSigned(authorityKey, { signer: NOBODY, nowMs });
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
