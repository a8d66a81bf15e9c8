import { equalBytes } from "../../base/mod.ts";
import { clusterIdOf } from "../../protocol/mod.ts";
import { AUTHORITY_NAME, CERTIFICATE_EARLY_MS, selfSigned } from "./anchors.ts";
import { type ReadCertificate, readCertificate, signCertificate } from "./certificate.ts";
import { generateSigningKey, parseSigningKey } from "./keys.ts";
import { formatPem, parsePems } from "./pem.ts";

const CERTIFICATE_LABEL = "CERTIFICATE";
/** Links between an authority and earlier ones. Each is an intermediate certificate in TLS, where six are the limit. */
const LINKS_MAX = 4;
/** How long who knows a cluster by its former authority is led on to the next one. */
const LINK_LIFETIME_MS = 365 * 24 * 60 * 60 * 1_000;

/** What a cluster's authority is known by. */
export interface AuthorityChain {
  /** Of the first authority: it stays when another one follows. */
  readonly clusterId: string;
  /** SPKI of the present one. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /**
   * Its own certificate; what each former authority says of the next, newest first; and, unless it is the first, that
   * one's own.
   */
  readonly chainPem: string;
}

/** What lets its holder sign certificates of a cluster. Voters have it, so that each of them can let others in. */
export interface Authority extends AuthorityChain {
  /** PKCS#8. Never logged. */
  readonly privateKeyPem: string;
}

/** Makes the authority of a cluster that does not exist yet. */
export async function createAuthority(nowMs: number): Promise<Authority> {
  const key = await generateSigningKey();
  const { publicKey, privateKeyPem } = key;
  const chainPem = pemOf([await selfSigned(publicKey, { signer: key, nowMs })]);
  return { clusterId: clusterIdOf(publicKey), publicKey, chainPem, privateKeyPem };
}

/** Makes the authority that follows another, whose key says so. */
export async function succeedAuthority(former: Authority, nowMs: number): Promise<Authority> {
  const [key, signer] = [
    await generateSigningKey(),
    await parseSigningKey(former.privateKeyPem),
  ];
  if (signer === undefined) throw new TypeError("An authority's key has been parsed before");
  const { publicKey, privateKeyPem } = key;
  const own = await selfSigned(publicKey, { signer: key, nowMs });
  const link = await signCertificate({
    kind: "link",
    subject: AUTHORITY_NAME,
    issuer: AUTHORITY_NAME,
    publicKey,
    notBeforeMs: nowMs - CERTIFICATE_EARLY_MS,
    notAfterMs: nowMs + LINK_LIFETIME_MS,
    names: [],
  }, signer);
  const { links, first } = takeApart(former);
  const chainPem = pemOf([own, link, ...links.slice(0, LINKS_MAX - 1), first]);
  return { clusterId: former.clusterId, publicKey, chainPem, privateKeyPem };
}

/** Takes a chain from a file or a peer; undefined when it can't be read or its head is not what it says. */
export async function parseChain(chainPem: string): Promise<AuthorityChain | undefined> {
  const ders = parsePems(CERTIFICATE_LABEL, chainPem);
  if (ders === undefined || ders.length > LINKS_MAX + 2) return undefined;
  const certificates = ders.map(readCertificate);
  if (!certificates.every((one): one is ReadCertificate => one !== undefined)) return undefined;
  const [own, first] = [certificates[0], certificates.at(-1)];
  if (own === undefined || first === undefined) return undefined;
  if (!await own.isSignedBy(own.publicKey)) return undefined;
  const { publicKey } = own;
  return { clusterId: clusterIdOf(first.publicKey), publicKey, chainPem: pemOf(ders) };
}

/** An authority from its chain and its key; undefined when they are damaged or don't belong together. */
export async function parseAuthority(
  pems: { readonly chainPem: string; readonly privateKeyPem: string },
): Promise<Authority | undefined> {
  const chain = await parseChain(pems.chainPem);
  const key = await parseSigningKey(pems.privateKeyPem);
  if (chain === undefined || key === undefined) return undefined;
  if (!equalBytes(chain.publicKey, key.publicKey)) return undefined;
  return { ...chain, privateKeyPem: pems.privateKeyPem };
}

/** Who can sign by a chain with this key: its present authority, or a former one that it names; else undefined. */
export async function signerOf(
  chain: AuthorityChain,
  by: { readonly privateKeyPem: string; readonly nowMs: number },
): Promise<Authority | undefined> {
  const { privateKeyPem, nowMs } = by;
  const key = await parseSigningKey(privateKeyPem);
  if (key === undefined) return undefined;
  if (equalBytes(key.publicKey, chain.publicKey)) return { ...chain, privateKeyPem };
  const { links, first } = takeApart(chain);
  const keys = [...links, first].map((der) => readCertificate(der)?.publicKey);
  const at = keys.findLastIndex((one) => one !== undefined && equalBytes(one, key.publicKey));
  if (at < 0) return undefined;
  const { clusterId } = chain;
  const { publicKey } = key;
  const own = await selfSigned(publicKey, { signer: key, nowMs });
  return {
    clusterId,
    publicKey,
    privateKeyPem,
    chainPem: pemOf(at === links.length ? [first] : [own, ...links.slice(at), first]),
  };
}

/**
 * Whether authority `next` follows `known`, by the signatures of it and of those between the two. The signature of one
 * before `known` does, too: `known`'s key may have been lost.
 */
export async function isSuccessor(next: AuthorityChain, known: AuthorityChain): Promise<boolean> {
  if (next.clusterId !== known.clusterId) return false;
  const signers = keysOf(known);
  let { publicKey } = next;
  const links = takeApart(next).links.map(readCertificate);
  for (const [at, link] of links.entries()) {
    if (link === undefined || !equalBytes(link.publicKey, publicKey)) return false;
    for (const signer of signers) if (await link.isSignedBy(signer)) return true;
    const signer = links[at + 1]?.publicKey;
    if (signer === undefined || !await link.isSignedBy(signer)) return false;
    publicKey = signer;
  }
  return false;
}

/** What the former authorities say of the next ones, for who knows only one of them: PEM, "" where there was none. */
export function linksPem(chain: AuthorityChain): string {
  return pemOf(takeApart(chain).links);
}

/** Ids (as of clusters) of all the authorities that the chain names, present and former. */
export function authorityIds(chain: AuthorityChain): readonly string[] {
  return [...new Set(keysOf(chain).map(clusterIdOf))];
}

/** SPKI. */
function keysOf(chain: AuthorityChain): readonly Uint8Array<ArrayBuffer>[] {
  const ders = parsePems(CERTIFICATE_LABEL, chain.chainPem) ?? [];
  return ders.flatMap((der) => {
    const certificate = readCertificate(der);
    return certificate === undefined ? [] : [certificate.publicKey];
  });
}

function takeApart({ chainPem }: AuthorityChain) {
  const ders = parsePems(CERTIFICATE_LABEL, chainPem) ?? [];
  const first = ders.at(-1);
  if (first === undefined) throw new TypeError("A chain has been parsed before");
  return { links: ders.slice(1, -1), first };
}

function pemOf(ders: readonly Uint8Array[]): string {
  return ders.map((der) => formatPem(CERTIFICATE_LABEL, der)).join("");
}
