import { assert, equalBytes, type Incarnation, type NodeId, StorageError } from "../../base/mod.ts";
import type { SecretFiles } from "../../ports/mod.ts";
import { type JoinAnswer, nodeIdOf } from "../../protocol/mod.ts";
import { isRenewalDue, issueCertificate, judgeCertificate } from "./authority.ts";
import {
  type Authority,
  type AuthorityChain,
  createAuthority,
  parseChain,
  signerOf,
} from "./authority_chain.ts";
import { readCertificate } from "./certificate.ts";
import {
  type ClusterOrigin,
  decodeIdentityRecord,
  encodeIdentityRecord,
  type IdentityRecord,
} from "./identity_record.ts";
import { generateSigningKey, parseSigningKey, type SigningKey } from "./keys.ts";
import { type IdentityParts, type NodeIdentity, nodeIdentity } from "./node_identity.ts";
import { decodeFirstMembers, encodeFirstMembers, type FirstMember } from "./first_members.ts";
import { formatPem, parsePem } from "./pem.ts";

const KEY = "key.pem";
const CERTIFICATE = "certificate.pem";
const AUTHORITY = "authority.pem";
const AUTHORITY_KEY = "authority_key.pem";
const RECORD = "identity.json";
const FIRST_MEMBERS = "first_members.json";
const KNOWN_MEMBERS = "members.json";
/** As far as membership believes a clock. */
const EPOCH_AHEAD_MS_MAX = 24 * 3_600_000;
const CERTIFICATE_LABEL = "CERTIFICATE";

/** What a node is as a member of a cluster. */
export interface ClusterMembership {
  readonly identity: NodeIdentity;
  readonly authority: AuthorityChain;
  /** Only where the authority's key is kept: with the voters. Of a former authority until the present one's has come. */
  readonly signer: Authority | undefined;
  readonly origin: ClusterOrigin;
}

/** How a node's files are opened. */
export interface OpenIdentityOptions {
  readonly name: string;
  readonly nowMs: () => number;
}

/**
 * Reads who this node is, or makes it up: a key and so an id come into being with the first call, a cluster only by
 * {@link StoredIdentity.found} or {@link StoredIdentity.adopt}. Raises the boot epoch, and renews a certificate of which
 * less than a third is left.
 *
 * @throws StorageError `corrupt_file` naming the file and what to do, `disk_full` or `storage_failed`.
 */
export async function openIdentity(
  files: SecretFiles,
  options: OpenIdentityOptions,
): Promise<StoredIdentity> {
  const record = await readRecord(files);
  if (record?.nodeId == null) return await makeNode(files, { ...options, previous: record });
  const key = await readKey(files, record.nodeId);
  const found = record.cluster === null
    ? undefined
    : await readMembership(files, { ...record.cluster, key, nowMs: options.nowMs() });
  const firstMembers = await readFirstMembers(files);
  const { nowMs } = options;
  const opened = new StoredIdentity({
    files,
    key,
    record,
    membership: found?.membership,
    isCertified: found?.isCertified ?? false,
    firstMembers,
    nowMs,
  });
  await opened.begin(options.name);
  return opened;
}

interface StoredParts {
  readonly files: SecretFiles;
  readonly key: SigningKey;
  readonly record: IdentityRecord;
  readonly membership: ClusterMembership | undefined;
  /** Whether its certificate is the present authority's. */
  readonly isCertified: boolean;
  readonly firstMembers: readonly FirstMember[];
  readonly nowMs: () => number;
}

/** This node's own files: who it is, of which cluster, and how often it has started. Calls are made one after another. */
export class StoredIdentity {
  readonly nodeId: NodeId;
  /** What a join is made with. */
  readonly key: SigningKey;
  readonly #files: SecretFiles;
  readonly #nowMs: () => number;
  #record: IdentityRecord;
  #membership: ClusterMembership | undefined;
  #isCertified: boolean;
  #firstMembers: readonly FirstMember[];

  /** Use {@link openIdentity}. */
  constructor(parts: StoredParts) {
    this.nodeId = nodeIdOf(parts.key.publicKey);
    this.key = parts.key;
    this.#files = parts.files;
    this.#nowMs = parts.nowMs;
    this.#record = parts.record;
    this.#membership = parts.membership;
    this.#isCertified = parts.isCertified;
    this.#firstMembers = parts.firstMembers;
  }

  /** Undefined until this node has founded or joined a cluster. */
  get membership(): ClusterMembership | undefined {
    return this.#membership;
  }

  /** Whom the member that let this node in named; empty once {@link dropFirstMembers} was called. */
  get firstMembers(): readonly FirstMember[] {
    return this.#firstMembers;
  }

  /** This node has a catalogue of its own, which says more. */
  async dropFirstMembers(): Promise<void> {
    if (this.#firstMembers.length === 0) return;
    this.#firstMembers = [];
    await this.#files.remove(FIRST_MEMBERS);
  }

  /** Keeps beside the log who belongs, for when that can't be read. */
  async keepMembers(members: readonly FirstMember[]): Promise<void> {
    await this.#files.write(KNOWN_MEMBERS, encodeFirstMembers(members));
  }

  /** As last kept; empty where nothing was, or where that can't be read either. */
  async knownMembers(): Promise<readonly FirstMember[]> {
    const decoded = decodeFirstMembers(await this.#files.read(KNOWN_MEMBERS) ?? new Uint8Array(0));
    return decoded.kind === "decoded" ? decoded.value : [];
  }

  get name(): string {
    return this.#record.name;
  }

  /** Greater at each start, also after a disk was restored from a backup, as long as the clock is right. Milliseconds. */
  get bootEpoch(): number {
    return this.#record.bootEpoch;
  }

  /** As last saved. */
  get incarnation(): Incarnation {
    return this.#record.incarnation as Incarnation; // Decoding: an integer >= 0 by its shape.
  }

  /** Begins a life; called once by {@link openIdentity}. */
  async begin(name: string): Promise<void> {
    // Milliseconds since 1970 outdo what any older copy of this file says, and tell apart two copies that are started
    // together; a clock that is behind costs no more than that.
    const sinceMs = Math.max(0, Math.floor(this.#nowMs()));
    const next = this.#record.bootEpoch + 1;
    // Others believe no epoch that far ahead, so one that a wrong clock left here would keep this node out for as long.
    const bootEpoch = next > sinceMs + EPOCH_AHEAD_MS_MAX ? sinceMs : Math.max(next, sinceMs);
    await this.#write({ ...this.#record, name, bootEpoch });
    await this.renewIfDue();
  }

  /** Makes this node the first of a new cluster. */
  async found(): Promise<ClusterMembership> {
    assert(this.#membership === undefined, "A member can't found a cluster");
    const nowMs = this.#nowMs();
    const authority = await createAuthority(nowMs);
    const { publicKey } = this.key;
    const certificate = await issueCertificate(authority, { publicKey, nowMs });
    await this.#writeText(AUTHORITY_KEY, authority.privateKeyPem);
    return await this.#become("founded", { authority, signer: authority, certificate });
  }

  /**
   * Takes what a join brought. A cluster that this node founded and is alone in is forgotten; whether it may be is the
   * caller's to know.
   */
  async adopt(answer: JoinAnswer): Promise<ClusterMembership> {
    const authority = await parseChain(answer.authorityChainPem);
    assert(authority !== undefined, "A join's answer has been checked", {});
    // Without it a crash between the files would leave one cluster's authority beside the other's certificate.
    if (this.#membership !== undefined) await this.#write({ ...this.#record, cluster: null });
    await this.#files.remove(AUTHORITY_KEY);
    this.#firstMembers = answer.members.map(({ nodeId, publicKey }) => ({ nodeId, publicKey }));
    await this.#files.write(FIRST_MEMBERS, encodeFirstMembers(this.#firstMembers));
    const { certificate } = answer;
    return await this.#become("joined", { authority, signer: undefined, certificate });
  }

  /** Fresh certificates for those that have lived two thirds of their lives, as far as this node can sign them itself. */
  async renewIfDue(): Promise<NodeIdentity | undefined> {
    const member = this.#membership;
    const nowMs = this.#nowMs();
    if (member === undefined) return undefined;
    const { identity, authority, signer } = member;
    if (signer !== undefined && this.needsCertificate && isCurrent(signer, authority)) {
      const { publicKey } = this.key;
      return await this.useAuthority(
        authority,
        await issueCertificate(signer, { publicKey, nowMs }),
      );
    }
    if (!isRenewalDue(identity.leafValidity, nowMs)) return undefined;
    return await this.#useIdentity(member, identity.certificate);
  }

  /** When the first of its certificates expires; undefined = it is a member of nothing. Milliseconds since the epoch. */
  get expiresAtMs(): number | undefined {
    if (this.#membership === undefined) return undefined;
    const { certificate, leaf } = this.#membership.identity;
    const ends = [certificate, leaf].flatMap((der) => readCertificate(der)?.notAfterMs ?? []);
    return Math.min(...ends);
  }

  /** Its certificate is another authority's than the present one's, or soon expires. */
  get needsCertificate(): boolean {
    if (this.#membership === undefined) return false;
    const { identity } = this.#membership;
    if (!this.#isCertified) return true;
    const certificate = readCertificate(identity.certificate);
    return certificate === undefined || isRenewalDue(certificate, this.#nowMs());
  }

  /** Goes over to an authority with a certificate of its making, or takes a fresh certificate of the same one. */
  async useAuthority(
    authority: AuthorityChain,
    certificate: Uint8Array<ArrayBuffer>,
  ): Promise<NodeIdentity> {
    assert(this.#membership !== undefined, "Only a member has an authority");
    await this.#writeText(AUTHORITY, authority.chainPem);
    await this.#writeText(CERTIFICATE, formatPem(CERTIFICATE_LABEL, certificate));
    this.#isCertified = true;
    return await this.#useIdentity({ ...this.#membership, authority }, certificate);
  }

  /** Keeps the authority's key: this node votes. */
  async keepSigner(signer: Authority): Promise<void> {
    assert(this.#membership !== undefined, "Only a member keeps an authority's key");
    await this.#writeText(AUTHORITY_KEY, signer.privateKeyPem);
    this.#membership = { ...this.#membership, signer };
  }

  /** Others keep the authority's key. */
  async dropSigner(): Promise<void> {
    await this.#files.remove(AUTHORITY_KEY);
    if (this.#membership !== undefined) {
      this.#membership = { ...this.#membership, signer: undefined };
    }
  }

  /** Keeps what this node says of its life, so that it never says less after a restart. */
  async saveLife(
    life: { readonly bootEpoch: number; readonly incarnation: number },
  ): Promise<void> {
    await this.#write({ ...this.#record, ...life });
  }

  /**
   * Drops everything that binds this node to its cluster, its id too: whoever left comes back as another node, because
   * the one that left may have promised votes it no longer knows of. This object is of no use afterwards.
   */
  async leave(): Promise<void> {
    await this.#write({ ...this.#record, nodeId: null, cluster: null });
    this.#membership = undefined;
    for (const name of [AUTHORITY_KEY, AUTHORITY, CERTIFICATE, KEY, FIRST_MEMBERS, KNOWN_MEMBERS]) {
      await this.#files.remove(name);
    }
  }

  /** Of no cluster any more, but the same node: what it signs, those who knew it can check. */
  async forgetCluster(): Promise<void> {
    await this.#write({ ...this.#record, cluster: null });
    this.#membership = undefined;
    this.#firstMembers = [];
    for (const name of [AUTHORITY_KEY, AUTHORITY, CERTIFICATE, FIRST_MEMBERS, KNOWN_MEMBERS]) {
      await this.#files.remove(name);
    }
  }

  async #become(
    origin: ClusterOrigin,
    parts: Pick<ClusterMembership, "authority" | "signer"> & {
      readonly certificate: Uint8Array<ArrayBuffer>;
    },
  ): Promise<ClusterMembership> {
    const { authority, signer, certificate } = parts;
    await this.#writeText(AUTHORITY, authority.chainPem);
    await this.#writeText(CERTIFICATE, formatPem(CERTIFICATE_LABEL, certificate));
    const { clusterId } = authority;
    await this.#write({ ...this.#record, cluster: { clusterId, origin } });
    const identity = await this.#identityOf({ certificate, authority });
    this.#isCertified = true;
    this.#membership = { identity, authority, signer, origin };
    return this.#membership;
  }

  async #useIdentity(
    member: ClusterMembership,
    certificate: Uint8Array<ArrayBuffer>,
  ): Promise<NodeIdentity> {
    const identity = await this.#identityOf({ certificate, authority: member.authority });
    this.#membership = { ...member, identity };
    return identity;
  }

  #identityOf(parts: Pick<IdentityParts, "certificate" | "authority">): Promise<NodeIdentity> {
    return nodeIdentity({ ...parts, key: this.key, nowMs: this.#nowMs() });
  }

  async #write(record: IdentityRecord): Promise<void> {
    const bytes = encodeIdentityRecord(record);
    // Whatever a peer makes this node say of itself, it must be able to read it again.
    const readBack = decodeIdentityRecord(bytes);
    assert(readBack.kind === "decoded", "What is written can be read back", { file: RECORD });
    await this.#files.write(RECORD, bytes);
    this.#record = record;
  }

  async #writeText(name: string, text: string): Promise<void> {
    await this.#files.write(name, new TextEncoder().encode(text));
  }
}

async function makeNode(
  files: SecretFiles,
  by: OpenIdentityOptions & { readonly previous: IdentityRecord | undefined },
): Promise<StoredIdentity> {
  const { name, nowMs, previous } = by;
  if (previous === undefined && await files.read(CERTIFICATE) !== undefined) {
    throw damaged(RECORD, `it is missing beside ${CERTIFICATE}`);
  }
  const key = await generateSigningKey();
  await files.write(KEY, new TextEncoder().encode(key.privateKeyPem));
  const nodeId = nodeIdOf(key.publicKey);
  const bootEpoch = previous?.bootEpoch ?? 0;
  const record = { nodeId, cluster: null, name, bootEpoch, incarnation: 0 };
  const made = new StoredIdentity({
    files,
    key,
    record,
    membership: undefined,
    isCertified: false,
    firstMembers: [],
    nowMs,
  });
  await made.begin(name);
  return made;
}

async function readRecord(files: SecretFiles): Promise<IdentityRecord | undefined> {
  const bytes = await files.read(RECORD);
  if (bytes === undefined) return undefined;
  const decoded = decodeIdentityRecord(bytes);
  if (decoded.kind === "malformed") throw damaged(RECORD, decoded.reason);
  return decoded.value;
}

async function readKey(files: SecretFiles, nodeId: NodeId): Promise<SigningKey> {
  const key = await parseSigningKey(await readText(files, KEY));
  if (key === undefined) throw damaged(KEY, "it is missing or no private key");
  const found = nodeIdOf(key.publicKey);
  if (found !== nodeId) throw damaged(KEY, `it is the key of node ${found}, not of ${nodeId}`);
  return key;
}

async function readMembership(
  files: SecretFiles,
  by: {
    readonly clusterId: string;
    readonly origin: ClusterOrigin;
    readonly key: SigningKey;
    readonly nowMs: number;
  },
): Promise<{ readonly membership: ClusterMembership; readonly isCertified: boolean }> {
  const { clusterId, origin, key, nowMs } = by;
  const authority = await parseChain(await readText(files, AUTHORITY));
  if (authority === undefined) throw damaged(AUTHORITY, "it is missing or can't be read");
  if (authority.clusterId !== clusterId) {
    throw damaged(AUTHORITY, `it is of cluster ${authority.clusterId}, not of ${clusterId}`);
  }
  const signer = await readSigner(files, { authority, nowMs });
  const { certificate, isCertified } = await readOwnCertificate(files, { authority, key, nowMs });
  const identity = await nodeIdentity({ key, certificate, authority, nowMs });
  return { membership: { identity, authority, signer, origin }, isCertified };
}

/** The authority's key, where this node keeps it. */
async function readSigner(
  files: SecretFiles,
  by: { readonly authority: AuthorityChain; readonly nowMs: number },
): Promise<Authority | undefined> {
  if (await files.read(AUTHORITY_KEY) === undefined) return undefined;
  const privateKeyPem = await readText(files, AUTHORITY_KEY);
  const signer = await signerOf(by.authority, { privateKeyPem, nowMs: by.nowMs });
  if (signer !== undefined) return signer;
  throw damaged(AUTHORITY_KEY, `it is no private key, or not of the authority in ${AUTHORITY}`);
}

/**
 * The one on disk. Where that is damaged, one of this node's own making: members that know its key take it, and somebody
 * who can sign makes another soon.
 */
async function readOwnCertificate(
  files: SecretFiles,
  by: { readonly authority: AuthorityChain; readonly key: SigningKey; readonly nowMs: number },
): Promise<{ readonly certificate: Uint8Array<ArrayBuffer>; readonly isCertified: boolean }> {
  const { authority, key, nowMs } = by;
  const { publicKey } = key;
  const stored = parsePem(CERTIFICATE_LABEL, await readText(files, CERTIFICATE));
  const read = stored && readCertificate(stored);
  if (stored === undefined || read === undefined || !equalBytes(read.publicKey, publicKey)) {
    return { certificate: await issueCertificate(key, { publicKey, nowMs }), isCertified: false };
  }
  const judged = await judgeCertificate(stored, { authorityKey: authority.publicKey, nowMs });
  return { certificate: stored, isCertified: judged.kind === "valid" };
}

function isCurrent(signer: Authority, authority: AuthorityChain): boolean {
  return equalBytes(signer.publicKey, authority.publicKey);
}

async function readFirstMembers(files: SecretFiles): Promise<readonly FirstMember[]> {
  const bytes = await files.read(FIRST_MEMBERS);
  if (bytes === undefined) return [];
  const decoded = decodeFirstMembers(bytes);
  if (decoded.kind === "malformed") throw damaged(FIRST_MEMBERS, decoded.reason);
  return decoded.value;
}

async function readText(files: SecretFiles, name: string): Promise<string> {
  const bytes = await files.read(name);
  return bytes === undefined ? "" : new TextDecoder().decode(bytes);
}

function damaged(name: string, reason: string): StorageError {
  return new StorageError(
    "corrupt_file",
    `Cannot tell who this node is: ${name} in the cluster folder of its data is damaged: ${reason}. ` +
      "Restore the folder from a backup, or move it away and join again with a new token",
  );
}
