import { assert, type Digest, type NodeId, sha256Hex } from "../../base/mod.ts";
import {
  type BlobLayer,
  CATALOGUE_SCHEMA,
  decodeCommand,
  type Decoded,
  type DecodedCommand,
  type ModelName,
  ORIGIN_SCHEMA,
  parseManifest,
  type StampedCommand,
} from "../../protocol/mod.ts";
import { applyCommand } from "./apply_command.ts";
import { modelKey } from "./apply_models.ts";
import {
  type ApiKeyRow,
  type AuditRow,
  type CatalogueTables,
  emptyTables,
  type MemberRow,
  type ModelRow,
  type QuarantineRow,
  type SessionRow,
  type SettingRow,
  type TokenRow,
  type VotersRow,
} from "./rows.ts";
import {
  findOutcome,
  openSession,
  type Outcome,
  rememberOutcome,
  touchSession,
} from "./sessions.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";

/** What an entry did. */
export type Applied =
  | {
    readonly kind: "answered";
    /** Undefined for an entry without a command. */
    readonly command: StampedCommand | undefined;
    readonly outcome: Outcome;
    /** The outcome is that of an earlier entry; nothing was changed now. */
    readonly repeated: boolean;
  }
  /**
   * The entry is newer than this program. Nothing was applied and nothing will be: the node must stop applying, voting
   * and serving the catalogue until it is updated.
   */
  | { readonly kind: "halted"; readonly schema: number };

/** A model with its manifest. */
export interface CatalogueModel extends ModelRow {
  readonly manifest: Uint8Array;
}

/**
 * The replicated catalogue: what the log's commands add up to. Every node applies the same entries in the same order and
 * so holds the same state; {@link stateHash} at equal indexes proves it.
 */
export class Catalogue {
  readonly #tables: CatalogueTables;
  #appliedIndex: number;
  #haltedSchema: number | undefined;

  private constructor(tables: CatalogueTables, appliedIndex: number) {
    this.#tables = tables;
    this.#appliedIndex = appliedIndex;
  }

  /** The state before the first entry. */
  static empty(): Catalogue {
    return new Catalogue(emptyTables(), 0);
  }

  /** Takes a snapshot's bytes, from disk or a peer; never throws. */
  static restore(bytes: Uint8Array): Decoded<Catalogue> {
    const decoded = decodeSnapshot(bytes);
    if (decoded.kind === "malformed") return decoded;
    const { tables, appliedIndex } = decoded.value;
    return { kind: "decoded", value: new Catalogue(tables, appliedIndex) };
  }

  /** The last entry that is part of the state. */
  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Commands above this schema are refused until it is raised. */
  get schema(): number {
    return this.#tables.schema;
  }

  /**
   * Applies the entry at `index`, which follows {@link appliedIndex}. Entries of Raft itself (empty ones and membership
   * changes) are handed in with no bytes.
   */
  apply(index: number, bytes: Uint8Array): Applied {
    if (this.#haltedSchema !== undefined) return { kind: "halted", schema: this.#haltedSchema };
    assert(index === this.#appliedIndex + 1, "Entries must be applied in order", {
      index,
      appliedIndex: this.#appliedIndex,
    });
    if (bytes.length === 0) {
      this.#appliedIndex = index;
      const outcome = { kind: "applied", revision: index } as const;
      return { kind: "answered", command: undefined, outcome, repeated: false };
    }
    const decoded = decodeCommand(bytes);
    const schema = unsupportedSchema(decoded);
    if (schema !== undefined) {
      this.#haltedSchema = schema;
      return { kind: "halted", schema };
    }
    this.#appliedIndex = index;
    return this.#applyDecoded(index, decoded);
  }

  /** SHA-256 of the whole state in hex. Nodes at one {@link appliedIndex} must agree on it. */
  stateHash(): string {
    return sha256Hex(this.snapshot());
  }

  /** The whole state, for {@link restore}. */
  snapshot(): Uint8Array {
    return encodeSnapshot(this.#tables, this.#appliedIndex);
  }

  /** By any spelling of its case. */
  findModel(name: ModelName): CatalogueModel | undefined {
    const row = this.#tables.models.get(modelKey(name));
    if (row === undefined) return undefined;
    const manifest = this.#tables.manifests.get(row.manifestDigest);
    assert(manifest !== undefined, "Every model has its manifest", { digest: row.manifestDigest });
    return { ...row, manifest };
  }

  /** By name. */
  models(): readonly CatalogueModel[] {
    const keys = [...this.#tables.models.keys()].sort();
    return keys.flatMap((key) => {
      const row = this.#tables.models.get(key);
      const model = row && this.findModel(row.name);
      return model === undefined ? [] : [model];
    });
  }

  /** Blobs that some manifest names: everything else may be collected. */
  referencedBlobs(): ReadonlySet<Digest> {
    const digests = new Set<Digest>();
    for (const bytes of this.#tables.manifests.values()) {
      const manifest = parseManifest(bytes);
      const layers: readonly BlobLayer[] = manifest ? [manifest.config, ...manifest.layers] : [];
      for (const layer of layers) digests.add(layer.digest);
    }
    return digests;
  }

  findMember(nodeId: NodeId): MemberRow | undefined {
    return this.#tables.members.get(nodeId);
  }

  /** By id; revoked ones too. */
  members(): readonly MemberRow[] {
    return sortedBy(this.#tables.members, (row) => row.nodeId);
  }

  /** Who should vote; the group itself may be on its way there. */
  voters(): VotersRow {
    return this.#tables.voters;
  }

  findToken(tokenId: string): TokenRow | undefined {
    return this.#tables.tokens.get(tokenId);
  }

  /** By id. */
  tokens(): readonly TokenRow[] {
    return sortedBy(this.#tables.tokens, (row) => row.tokenId);
  }

  findApiKey(keyId: string): ApiKeyRow | undefined {
    return this.#tables.apiKeys.get(keyId);
  }

  /** Whether keys are wanted of who only uses models: from the first that somebody made on, for good. */
  get wantsKeys(): boolean {
    const { schema, keyHistory, apiKeys } = this.#tables;
    return schema < ORIGIN_SCHEMA ? apiKeys.size > 0 : keyHistory === "made";
  }

  /** Whether there never was any key, not even the one of a first start. */
  get neverHadKeys(): boolean {
    return this.#tables.keyHistory === "none" && this.#tables.apiKeys.size === 0;
  }

  /** Changes with who made them, oldest first; {@link AUDIT_ROWS_MAX} at most. */
  audit(): readonly AuditRow[] {
    return [...this.#tables.audit.values()];
  }

  /** By id. */
  apiKeys(): readonly ApiKeyRow[] {
    return sortedBy(this.#tables.apiKeys, (row) => row.keyId);
  }

  findSetting(key: string): SettingRow | undefined {
    return this.#tables.settings.get(key);
  }

  /** By key. */
  settings(): readonly SettingRow[] {
    return sortedBy(this.#tables.settings, (row) => row.key);
  }

  /** Of the proposals of one node. */
  findSession(session: number): SessionRow | undefined {
    return this.#tables.sessions.get(session);
  }

  findQuarantined(digest: Digest): QuarantineRow | undefined {
    return this.#tables.quarantine.get(digest);
  }

  /** By digest. */
  quarantine(): readonly QuarantineRow[] {
    return sortedBy(this.#tables.quarantine, (row) => row.digest);
  }

  #applyDecoded(index: number, decoded: DecodedCommand): Applied {
    // All nodes that know the kind find the same fault in it, so refusing keeps them equal.
    if (decoded.kind !== "decoded") {
      const outcome = { kind: "refused", reason: "malformed_command" } as const;
      return { kind: "answered", command: undefined, outcome, repeated: false };
    }
    const { sessions } = this.#tables;
    const stamped = decoded.value;
    const { command, request } = stamped;
    const known = request && findOutcome(sessions, request);
    if (request !== undefined && known !== undefined) {
      touchSession(sessions, request, index);
      return { kind: "answered", command: stamped, ...known };
    }
    const revision = command.kind === "open_session"
      ? openSession(sessions, command.nonce, index)
      : index;
    const reason = applyCommand(this.#tables, stamped, index);
    const outcome: Outcome = reason === undefined
      ? { kind: "applied", revision }
      : { kind: "refused", reason };
    if (request !== undefined) {
      if (command.kind === "close_session") sessions.delete(request.session);
      else rememberOutcome(sessions, request, { outcome, index });
    }
    return { kind: "answered", command: stamped, outcome, repeated: false };
  }
}

/** The schema an entry needs that this program does not have. */
function unsupportedSchema(decoded: DecodedCommand): number | undefined {
  if (decoded.kind === "unsupported") return decoded.schema;
  if (decoded.kind === "malformed") return undefined;
  const { command } = decoded.value;
  // From here on entries may mean what this program can't know.
  if (command.kind === "raise_schema" && command.schema > CATALOGUE_SCHEMA) return command.schema;
  return undefined;
}

function sortedBy<Row>(table: ReadonlyMap<unknown, Row>, keyOf: (row: Row) => string): Row[] {
  return [...table.values()].sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
}
