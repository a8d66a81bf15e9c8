import { type Digest, isHashHex, type NodeId } from "../../base/mod.ts";
import {
  accessIdField,
  bytesField,
  CATALOGUE_MANIFEST_BYTES_MAX,
  digestField,
  type FieldCodec,
  labelField,
  listField,
  modelNameField,
  nodeIdField,
  originFields,
  publicKeyField,
  recordField,
  REPLICAS_MAX,
  SCOPES,
  scopesField,
  secretHashField,
  SESSION_NONCE_BYTES,
  settingKeyField,
  settingValueField,
  textField,
  timeField,
  uintField,
  type ValueOf,
  votersField,
} from "../../protocol/mod.ts";

/** Rows of each table; a command that would exceed one is refused with `table_full`. */
export const TABLE_ROWS_MAX = {
  models: 10_000,
  members: 4_096,
  tokens: 256,
  apiKeys: 4_096,
  settings: 1_024,
  quarantine: 10_000,
} as const;
/** Bytes of all manifests together: each node holds them in memory and in every snapshot. */
export const MANIFESTS_BYTES_MAX = 64 * 1024 * 1024;
/** Nodes one model can be pinned to. */
export const PINS_MAX = 64;
/** Changes that are remembered with who made them; the oldest makes room. */
export const AUDIT_ROWS_MAX = 1_000;
/** Client sessions; the one unused longest makes room. */
export const SESSIONS_MAX = 256;
/** Outcomes remembered per session: requests one client may have under way at once. */
export const SESSION_OUTCOMES_MAX = 256;

/** Why a command changed nothing. The order is the wire number: only ever appended to. */
export const REFUSALS = [
  "malformed_command",
  "schema_not_active",
  "session_unknown",
  "request_stale",
  "revision_mismatch",
  "not_found",
  "already_exists",
  "table_full",
  "bad_manifest",
  "member_revoked",
  "token_unknown",
  "token_expired",
  "not_a_member",
  "bad_voters",
  "bad_schema",
] as const;
/** Why a command changed nothing. */
export type Refusal = (typeof REFUSALS)[number];

/** Two full model names. */
const AUDIT_SUBJECT_BYTES_MAX = 2_048;

// A revision is the index of the entry that last changed the row.
const revisionField = uintField();
const hashHexField = textField(64, isHashHex);

/** A name and what it points at. */
export const modelRow = recordField({
  name: modelNameField,
  manifestDigest: hashHexField,
  modifiedAtMs: timeField,
  /** 0 = as the default says. */
  replicas: uintField(REPLICAS_MAX),
  /** By id. */
  pins: listField(nodeIdField, PINS_MAX),
  revision: revisionField,
});
export type ModelRow = ValueOf<typeof modelRow>;

/** A manifest's exact bytes, under their own hash. */
export const manifestRow = recordField({
  digest: hashHexField,
  bytes: bytesField(2, CATALOGUE_MANIFEST_BYTES_MAX),
});

/** A node that was let in, or shut out. */
export const memberRow = recordField({
  nodeId: nodeIdField,
  publicKey: publicKeyField,
  label: labelField,
  standing: textField<"admitted" | "revoked">(
    8,
    (text) => text === "admitted" || text === "revoked",
  ),
  changedAtMs: timeField,
  revision: revisionField,
});
export type MemberRow = ValueOf<typeof memberRow>;

/** Who should vote. */
export const votersRow = recordField({ voters: votersField, revision: revisionField });
export type VotersRow = ValueOf<typeof votersRow>;

/** A join token that is not used up. */
export const tokenRow = recordField({
  tokenId: accessIdField,
  verifier: secretHashField,
  expiresAtMs: timeField,
  usesLeft: uintField(1_000),
  revision: revisionField,
});
export type TokenRow = ValueOf<typeof tokenRow>;

const apiKeyFields = {
  keyId: accessIdField,
  secretHash: secretHashField,
  label: labelField,
  /** 0 = never. */
  expiresAtMs: timeField,
  createdAtMs: timeField,
  revision: revisionField,
};
/** A key of the HTTP API. */
export const apiKeyRow = recordField({
  ...apiKeyFields,
  scopes: scopesField,
  /** 0 = never; behind by what {@link apiKeyRow}'s proposers round away. */
  lastUsedAtMs: timeField,
});
export type ApiKeyRow = ValueOf<typeof apiKeyRow>;

/** As schema 1 wrote it: a key could do everything, and nobody knew when it last did. */
export const apiKeyRowOfSchema1: FieldCodec<ApiKeyRow> = (() => {
  const codec = recordField(apiKeyFields);
  return {
    write: (writer, row) => codec.write(writer, row),
    read: (reader) => ({ ...codec.read(reader), scopes: SCOPES, lastUsedAtMs: 0 }),
  };
})();

/**
 * Whether there ever was a key. `none`: never. `initial`: only the one that a first start makes by itself. `made`: somebody
 * wanted keys, and goes on wanting them when the last one is gone.
 */
const KEY_HISTORIES = ["none", "initial", "made"] as const;
export type KeyHistory = (typeof KEY_HISTORIES)[number];
export const keyHistoryField: FieldCodec<KeyHistory> = {
  write: (writer, history) => void writer.varint(KEY_HISTORIES.indexOf(history)),
  read: (reader) => KEY_HISTORIES[reader.varint(KEY_HISTORIES.length - 1)] ?? "made",
};

/** A change that was applied, and who had it made. */
export const auditRow = recordField({
  /** Of the entry. */
  index: revisionField,
  ...originFields,
  /** Kind of the command. */
  action: textField(32),
  /** What was changed, as far as the command names it. */
  subject: textField(AUDIT_SUBJECT_BYTES_MAX),
});
export type AuditRow = ValueOf<typeof auditRow>;

/** A cluster-wide setting. */
export const settingRow = recordField({
  key: settingKeyField,
  value: settingValueField,
  revision: revisionField,
});
export type SettingRow = ValueOf<typeof settingRow>;

/** Keys of settings about a single node end with its id, and go with it. */
export const NODE_SETTING = /\.[0-9a-f]{16}$/;

/** Key of the setting that keeps new requests off a node. */
export function drainKey(nodeId: NodeId): string {
  return `drain.${nodeId}`;
}

/** Key of the setting that tells the others to do without a node. */
export function leaveKey(nodeId: NodeId): string {
  return `leave.${nodeId}`;
}

/** Key of the setting by which a node that stops leaves its vote to others, and claims it back; see {@link HANDOVER}. */
export function handoverKey(nodeId: NodeId): string {
  return `handover.${nodeId}`;
}

/** What {@link handoverKey} says: the others shall do without its vote; it is back and would have it again. */
export const HANDOVER = { stopping: "stopping", returned: "returned" } as const;

/** A blob whose copy on one node is under doubt. */
export const quarantineRow = recordField({
  digest: digestField,
  nodeId: nodeIdField,
  reason: labelField,
  atMs: timeField,
  revision: revisionField,
});
export type QuarantineRow = ValueOf<typeof quarantineRow>;

/** What became of one request of a session. */
const sessionOutcome = recordField({
  sequence: uintField(),
  /** 0 = applied, else 1 + the number of the refusal. */
  refusal: uintField(REFUSALS.length),
  revision: revisionField,
});

/** A client's memory in the replicated state. */
export const sessionRow = recordField({
  session: uintField(),
  /** Of the `open_session` that made it. */
  nonce: bytesField(SESSION_NONCE_BYTES, SESSION_NONCE_BYTES),
  lastUsedIndex: uintField(),
  firstUnanswered: uintField(),
  /** By sequence. */
  outcomes: listField(sessionOutcome, SESSION_OUTCOMES_MAX),
});
export type SessionRow = ValueOf<typeof sessionRow>;
export type SessionOutcome = ValueOf<typeof sessionOutcome>;

/** Everything the log has agreed on. */
export interface CatalogueTables {
  /** Commands above this are refused. */
  schema: number;
  /** By lower-case full name: names differ by more than case. */
  readonly models: Map<string, ModelRow>;
  /** By hex digest. Invariant: exactly those that a model points at. */
  readonly manifests: Map<string, Uint8Array>;
  readonly members: Map<NodeId, MemberRow>;
  voters: VotersRow;
  readonly tokens: Map<string, TokenRow>;
  readonly apiKeys: Map<string, ApiKeyRow>;
  keyHistory: KeyHistory;
  /** By index, rising: a Map keeps the order of insertion. */
  readonly audit: Map<number, AuditRow>;
  readonly settings: Map<string, SettingRow>;
  readonly quarantine: Map<Digest, QuarantineRow>;
  readonly sessions: Map<number, SessionRow>;
}

/** The state before the first entry. */
export function emptyTables(): CatalogueTables {
  return {
    schema: 1,
    models: new Map(),
    manifests: new Map(),
    members: new Map(),
    voters: { voters: [], revision: 0 },
    tokens: new Map(),
    apiKeys: new Map(),
    keyHistory: "none",
    audit: new Map(),
    settings: new Map(),
    quarantine: new Map(),
    sessions: new Map(),
  };
}
