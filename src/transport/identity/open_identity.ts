import { assert, type Incarnation, type NodeId, StorageError } from "../../base/mod.ts";
import type { SecretFiles } from "../../ports/mod.ts";
import { type JoinAnswer, nodeIdOf } from "../../protocol/mod.ts";
import {
  type Authority,
  createAuthority,
  isRenewalDue,
  judgeCertificate,
  parseAuthority,
} from "./authority.ts";
import {
  type ClusterOrigin,
  decodeIdentityRecord,
  encodeIdentityRecord,
  type IdentityRecord,
} from "./identity_record.ts";
import { generateSigningKey, parseSigningKey, type SigningKey } from "./keys.ts";
import {
  type IdentityParts,
  type NodeIdentity,
  nodeIdentity,
  renewCertificate,
} from "./node_identity.ts";
import { decodeFirstMembers, encodeFirstMembers, type FirstMember } from "./first_members.ts";
import { formatPem, parsePem } from "./pem.ts";

const KEY = "key.pem";
const CERTIFICATE = "certificate.pem";
const AUTHORITY = "authority.pem";
const AUTHORITY_KEY = "authority_key.pem";
const RECORD = "identity.json";
const FIRST_MEMBERS = "first_members.json";
/** As far as membership believes a clock. */
const EPOCH_AHEAD_MS_MAX = 24 * 3_600_000;
const CERTIFICATE_LABEL = "CERTIFICATE";

/** What a node is as a member of a cluster. */
export interface ClusterMembership {
  readonly identity: NodeIdentity;
  readonly authority: Authority;
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
  const membership = record.cluster === null
    ? undefined
    : await readMembership(files, { ...record.cluster, key, nowMs: options.nowMs() });
  const firstMembers = await readFirstMembers(files);
  const { nowMs } = options;
  const opened = new StoredIdentity({ files, key, record, membership, firstMembers, nowMs });
  await opened.begin(options.name);
  return opened;
}

interface StoredParts {
  readonly files: SecretFiles;
  readonly key: SigningKey;
  readonly record: IdentityRecord;
  readonly membership: ClusterMembership | undefined;
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
  #firstMembers: readonly FirstMember[];

  /** Use {@link openIdentity}. */
  constructor(parts: StoredParts) {
    this.nodeId = nodeIdOf(parts.key.publicKey);
    this.key = parts.key;
    this.#files = parts.files;
    this.#nowMs = parts.nowMs;
    this.#record = parts.record;
    this.#membership = parts.membership;
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
    const certificate = await renewCertificate({ key: this.key, authority }, nowMs);
    return await this.#become("founded", { authority, certificate });
  }

  /**
   * Takes what a join brought. A cluster that this node founded and is alone in is forgotten; whether it may be is the
   * caller's to know.
   */
  async adopt(answer: JoinAnswer): Promise<ClusterMembership> {
    const authority = await parseAuthority({
      certificatePem: answer.authorityCertificatePem,
      privateKeyPem: answer.authorityKeyPem,
    });
    assert(authority !== undefined, "A join's answer has been checked", {});
    // Without it a crash between the files would leave one cluster's authority beside the other's certificate.
    if (this.#membership !== undefined) await this.#write({ ...this.#record, cluster: null });
    this.#firstMembers = answer.members.map(({ nodeId, publicKey }) => ({ nodeId, publicKey }));
    await this.#files.write(FIRST_MEMBERS, encodeFirstMembers(this.#firstMembers));
    return await this.#become("joined", { authority, certificate: answer.certificate });
  }

  /** Fresh certificates for those that have lived two thirds of their lives; undefined where none has. */
  async renewIfDue(): Promise<NodeIdentity | undefined> {
    const member = this.#membership;
    const nowMs = this.#nowMs();
    if (member === undefined) return undefined;
    let { certificate } = member.identity;
    if (isRenewalDue(certificate, nowMs)) {
      certificate = await renewCertificate({ key: this.key, ...member }, nowMs);
      await this.#writeText(CERTIFICATE, formatPem(CERTIFICATE_LABEL, certificate));
    } else if (!isRenewalDue(member.identity.leaf, nowMs)) return undefined;
    const identity = await this.#identityOf({ certificate, authority: member.authority });
    this.#membership = { ...member, identity };
    return identity;
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
    for (const name of [AUTHORITY_KEY, AUTHORITY, CERTIFICATE, KEY, FIRST_MEMBERS]) {
      await this.#files.remove(name);
    }
  }

  async #become(
    origin: ClusterOrigin,
    parts: { readonly authority: Authority; readonly certificate: Uint8Array<ArrayBuffer> },
  ): Promise<ClusterMembership> {
    const { authority, certificate } = parts;
    await this.#writeText(AUTHORITY, authority.certificatePem);
    await this.#writeText(AUTHORITY_KEY, authority.privateKeyPem);
    await this.#writeText(CERTIFICATE, formatPem(CERTIFICATE_LABEL, certificate));
    const { clusterId } = authority;
    await this.#write({ ...this.#record, cluster: { clusterId, origin } });
    const identity = await this.#identityOf({ certificate, authority });
    this.#membership = { identity, authority, origin };
    return this.#membership;
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
): Promise<ClusterMembership> {
  const { clusterId, origin, key } = by;
  const pems = {
    certificatePem: await readText(files, AUTHORITY),
    privateKeyPem: await readText(files, AUTHORITY_KEY),
  };
  const authority = await parseAuthority(pems);
  if (authority === undefined) {
    throw damaged(`${AUTHORITY} or ${AUTHORITY_KEY}`, "one is missing, or they are no pair");
  }
  if (authority.clusterId !== clusterId) {
    throw damaged(AUTHORITY, `it is of cluster ${authority.clusterId}, not of ${clusterId}`);
  }
  const { nowMs } = by;
  const certificate = await readOwnCertificate(files, { authority, key, nowMs });
  const identity = await nodeIdentity({ key, certificate, authority, nowMs });
  return { identity, authority, origin };
}

/** The one on disk, or a fresh one where that is damaged: with key and authority at hand nothing is lost. */
async function readOwnCertificate(
  files: SecretFiles,
  by: { readonly authority: Authority; readonly key: SigningKey; readonly nowMs: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const { authority, key, nowMs } = by;
  const certificate = parsePem(CERTIFICATE_LABEL, await readText(files, CERTIFICATE));
  const ways = { authorityKey: authority.publicKey, nowMs };
  const judged = certificate && await judgeCertificate(certificate, ways);
  if (certificate !== undefined && judged?.kind === "valid") {
    if (judged.nodeId === nodeIdOf(key.publicKey)) return certificate;
  }
  const renewed = await renewCertificate({ key, authority }, nowMs);
  const text = formatPem(CERTIFICATE_LABEL, renewed);
  await files.write(CERTIFICATE, new TextEncoder().encode(text));
  return renewed;
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
