import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import { CERTIFICATE_BYTES_MAX } from "../../protocol/mod.ts";
import { derFromSignature, signatureFromDer } from "./der_signature.ts";
import { type SigningKey, verifySignature } from "./keys.ts";

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const SERIAL_BYTES = 16;

/**
 * The parts of a node's chain: the cluster's authority signs what a member is, and the member's own key signs the leaf it
 * shows in TLS. So whoever knows a member's key can ask for that very key, and nobody who merely holds the authority can
 * stand in for it. A link is what an authority says of the one that follows it.
 */
export type CertificateKind = "authority" | "link" | "member" | "leaf";

/** What a certificate is to say. */
export interface CertificateContent {
  readonly subject: string;
  readonly issuer: string;
  /** SPKI of whom it is about. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DNS names; none for an authority. */
  readonly names: readonly string[];
}

/** What a certificate from outside says. Nothing in it is verified but its form. */
export interface ReadCertificate extends CertificateContent {
  /** Whether `authorityKey` (SPKI) signed it. */
  isSignedBy(authorityKey: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

/** Signs a certificate; DER. */
export async function signCertificate(
  content: CertificateContent & { readonly kind: CertificateKind },
  signer: Pick<SigningKey, "sign">,
): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: drawSerial(),
    signature: algorithm,
    issuer: commonName(content.issuer),
    subject: commonName(content.subject),
    validity: new Validity({
      notBefore: new Date(content.notBeforeMs),
      notAfter: new Date(content.notAfterMs),
    }),
    subjectPublicKeyInfo: AsnConvert.parse(content.publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsOf(content.kind, content.names)),
  });
  const signature = await signer.sign(new Uint8Array(AsnConvert.serialize(tbsCertificate)));
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: derFromSignature(signature).buffer,
  });
  return new Uint8Array(AsnConvert.serialize(certificate));
}

/** What was read last, by its bytes in hexadecimal digits, in order of use: a start looks at each of its own four times. */
const lastRead = new Map<string, ReadCertificate>();
const LAST_READ_MAX = 16;

/** Reads untrusted bytes; undefined when they are no certificate of the kind that {@link signCertificate} makes. */
export function readCertificate(der: Uint8Array<ArrayBuffer>): ReadCertificate | undefined {
  if (der.length > CERTIFICATE_BYTES_MAX) return undefined;
  const key = der.toHex();
  const read = lastRead.get(key) ?? parse(der);
  if (read === undefined) return undefined;
  lastRead.delete(key);
  lastRead.set(key, read);
  for (const oldest of lastRead.keys()) {
    if (lastRead.size <= LAST_READ_MAX) break;
    lastRead.delete(oldest);
  }
  return read;
}

function parse(der: Uint8Array<ArrayBuffer>): ReadCertificate | undefined {
  try {
    return describe(AsnConvert.parse(der, Certificate), der);
  } catch {
    return undefined; // The parser's one way to say no; its text is about ASN.1 and helps nobody.
  }
}

function describe(
  certificate: Certificate,
  der: Uint8Array<ArrayBuffer>,
): ReadCertificate | undefined {
  const { tbsCertificate, tbsCertificateRaw, signatureAlgorithm, signatureValue } = certificate;
  const subject = readCommonName(tbsCertificate.subject);
  const issuer = readCommonName(tbsCertificate.issuer);
  const signature = signatureFromDer(new Uint8Array(signatureValue));
  if (subject === undefined || issuer === undefined || signature === undefined) return undefined;
  if (signatureAlgorithm.algorithm !== ECDSA_WITH_SHA256 || tbsCertificateRaw === undefined) {
    return undefined;
  }
  // What the parser skipped behind the certificate would be signed by nobody and yet change its hash.
  if (AsnConvert.serialize(certificate).byteLength !== der.length) return undefined;
  const signedBytes = new Uint8Array(tbsCertificateRaw);
  const { notBefore, notAfter } = tbsCertificate.validity;
  return {
    subject,
    issuer,
    publicKey: new Uint8Array(AsnConvert.serialize(tbsCertificate.subjectPublicKeyInfo)),
    notBeforeMs: notBefore.getTime().getTime(),
    notAfterMs: notAfter.getTime().getTime(),
    names: readNames(tbsCertificate.extensions),
    isSignedBy: async (authorityKey) =>
      await verifySignature(authorityKey, { bytes: signedBytes, signature }),
  };
}

function extensionsOf(kind: CertificateKind, names: readonly string[]): Extension[] {
  const limits = kind === "leaf"
    ? new BasicConstraints({ cA: false })
    : kind === "link"
    ? new BasicConstraints({ cA: true })
    : new BasicConstraints({ cA: true, pathLenConstraint: kind === "authority" ? 1 : 0 });
  const uses = {
    authority: KeyUsageFlags.keyCertSign,
    link: KeyUsageFlags.keyCertSign,
    member: KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature,
    leaf: KeyUsageFlags.digitalSignature,
  };
  const common = [
    extension(id_ce_basicConstraints, limits),
    extension(id_ce_keyUsage, new KeyUsage(uses[kind])),
  ];
  if (kind === "authority" || kind === "link") return common;
  const dnsNames = names.map((dNSName) => new GeneralName({ dNSName }));
  return [
    ...common,
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, new SubjectAlternativeName(dnsNames), "optional"),
  ];
}

function extension(
  extnID: string,
  value: object,
  weight: "critical" | "optional" = "critical",
): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID, critical: weight === "critical", extnValue });
}

function readNames(extensions: Extensions | undefined): readonly string[] {
  const found = extensions?.find((row) => row.extnID === id_ce_subjectAltName);
  if (found === undefined) return [];
  const names = AsnConvert.parse(found.extnValue.buffer, SubjectAlternativeName);
  return [...names].flatMap(({ dNSName }) => dNSName === undefined ? [] : [dNSName]);
}

function commonName(text: string): Name {
  const value = new AttributeValue({ utf8String: text });
  return new Name([
    new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })]),
  ]);
}

function readCommonName(name: Name): string | undefined {
  const [part, ...others] = name[0] ?? [];
  if (name.length !== 1 || others.length > 0 || part?.type !== COMMON_NAME) return undefined;
  return part.value.toString();
}

/** Random, so that two members which sign at once make no two certificates with one number; positive and nonzero. */
function drawSerial(): ArrayBuffer {
  const serial = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial.buffer;
}
