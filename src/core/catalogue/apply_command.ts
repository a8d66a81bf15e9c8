import { assert, assertNever, type NodeId } from "../../base/mod.ts";
import {
  CATALOGUE_SCHEMA,
  type CatalogueCommand,
  type ModelName,
  ORIGIN_SCHEMA,
  schemaOf,
  type StampedCommand,
} from "../../protocol/mod.ts";
import {
  admitMember,
  createApiKey,
  createScopedKey,
  createToken,
  noteKeyUse,
  removeMember,
  revokeMember,
  setVoters,
} from "./apply_members.ts";
import {
  checkRevision,
  copyModel,
  deleteModel,
  pinModel,
  putModel,
  setReplicas,
} from "./apply_models.ts";
import {
  AUDIT_ROWS_MAX,
  type AuditRow,
  type CatalogueTables,
  type Refusal,
  TABLE_ROWS_MAX,
} from "./rows.ts";

/** What people ask for. The rest is how nodes keep themselves going. */
const AUDITED_KINDS = [
  "put_model",
  "copy_model",
  "delete_model",
  "set_replicas",
  "pin_model",
  "unpin_model",
  "admit_member",
  "revoke_member",
  "remove_member",
  "create_token",
  "delete_token",
  "create_api_key",
  "create_scoped_key",
  "delete_api_key",
  "put_setting",
  "delete_setting",
] as const;
type AuditedCommand = Extract<
  CatalogueCommand,
  { readonly kind: (typeof AUDITED_KINDS)[number] }
>;

/** Whether a command is remembered with who had it made. */
export function isAudited(command: CatalogueCommand): command is AuditedCommand {
  const kinds: readonly string[] = AUDITED_KINDS;
  return kinds.includes(command.kind);
}

/**
 * Does a command to the tables, or changes nothing and says why. The same tables, command and index give the same result
 * on every node: no clock, no randomness, no iteration whose order could differ.
 */
export function applyCommand(
  tables: CatalogueTables,
  stamped: Pick<StampedCommand, "command" | "origin">,
  index: number,
): Refusal | undefined {
  const { command, origin } = stamped;
  if (schemaOf(stamped) > tables.schema) return "schema_not_active";
  const subject = origin !== undefined && isAudited(command)
    ? subjectOf(tables, command)
    : undefined;
  const refusal = changeTables(tables, command, index);
  if (refusal === undefined && origin !== undefined && subject !== undefined) {
    noteChange(tables.audit, { index, ...origin, action: command.kind, subject });
  }
  return refusal;
}

function changeTables(
  tables: CatalogueTables,
  command: CatalogueCommand,
  index: number,
): Refusal | undefined {
  switch (command.kind) {
    case "open_session":
    case "close_session":
      return undefined; // Sessions are kept by the catalogue around every command.
    case "put_model":
      return putModel(tables, command, index);
    case "copy_model":
      return copyModel(tables, command, index);
    case "delete_model":
      return deleteModel(tables, command);
    case "set_replicas":
      return setReplicas(tables, command, index);
    case "pin_model":
    case "unpin_model":
      return pinModel(tables, command, index);
    case "admit_member":
      return admitMember(tables, command, index);
    case "revoke_member":
      return revokeMember(tables, command, index);
    case "remove_member":
      return removeMember(tables, command, index);
    case "set_voters":
      return setVoters(tables, command, index);
    case "create_token":
      return createToken(tables, command, index);
    case "delete_token":
      return tables.tokens.delete(command.tokenId) ? undefined : "not_found";
    case "create_api_key":
      return createApiKey(tables, command, index);
    case "delete_api_key":
      return tables.apiKeys.delete(command.keyId) ? undefined : "not_found";
    case "put_setting":
    case "delete_setting":
      return changeSetting(tables, command, index);
    case "quarantine_blob":
      return quarantineBlob(tables, command, index);
    case "release_blob":
      return tables.quarantine.delete(command.digest) ? undefined : "not_found";
    case "raise_schema":
      return raiseSchema(tables, command.schema);
    case "create_scoped_key":
      return createScopedKey(tables, command, index);
    case "note_key_use":
      return noteKeyUse(tables, command);
    default:
      return assertNever(command);
  }
}

function changeSetting(
  tables: CatalogueTables,
  command: Extract<CatalogueCommand, { readonly kind: "put_setting" | "delete_setting" }>,
  index: number,
): Refusal | undefined {
  const { key, expected } = command;
  const held = tables.settings.get(key);
  if (command.kind === "delete_setting" && held === undefined) return "not_found";
  const refusal = checkRevision(held, expected);
  if (refusal !== undefined) return refusal;
  if (command.kind === "delete_setting") {
    tables.settings.delete(key);
    return;
  }
  if (held === undefined && tables.settings.size >= TABLE_ROWS_MAX.settings) return "table_full";
  tables.settings.set(key, { key, value: command.value, revision: index });
}

function quarantineBlob(
  tables: CatalogueTables,
  command: Extract<CatalogueCommand, { readonly kind: "quarantine_blob" }>,
  index: number,
): Refusal | undefined {
  const { digest, nodeId, reason, atMs } = command;
  // The first report stays until that copy has been looked at.
  if (tables.quarantine.has(digest)) return "already_exists";
  if (tables.quarantine.size >= TABLE_ROWS_MAX.quarantine) return "table_full";
  tables.quarantine.set(digest, { digest, nodeId, reason, atMs, revision: index });
}

function raiseSchema(tables: CatalogueTables, schema: number): Refusal | undefined {
  assert(schema <= CATALOGUE_SCHEMA, "The catalogue must have halted before", { schema });
  // Lowering it would make entries that are in the log already mean something else.
  if (schema <= tables.schema) return "bad_schema";
  // Schema 1 did not write down whether there ever was a key; those that there are were wanted.
  if (tables.schema < ORIGIN_SCHEMA && tables.apiKeys.size > 0) tables.keyHistory = "made";
  tables.schema = schema;
}

/**
 * What a change is about, in words that are part of the state: they may not differ between versions of one schema. Asked
 * before the change, which may take away what has the name.
 */
function subjectOf(tables: CatalogueTables, command: AuditedCommand): string {
  switch (command.kind) {
    case "put_model":
    case "delete_model":
    case "set_replicas":
      return modelText(command.name);
    case "copy_model":
      return `${modelText(command.source)} to ${modelText(command.destination)}`;
    case "pin_model":
    case "unpin_model":
      return `${modelText(command.name)} on ${memberText(tables, command.nodeId)}`;
    case "admit_member":
      return `${command.nodeId} ${command.label}`;
    case "revoke_member":
    case "remove_member":
      return memberText(tables, command.nodeId);
    case "create_token":
    case "delete_token":
      return command.tokenId;
    case "create_api_key":
    case "create_scoped_key":
      return keyText(command);
    case "delete_api_key":
      return keyText(tables.apiKeys.get(command.keyId) ?? { keyId: command.keyId, label: "" });
    case "put_setting":
    case "delete_setting":
      return command.key;
  }
}

/** Adds a row at the end; the oldest makes room. */
function noteChange(audit: Map<number, AuditRow>, row: AuditRow): void {
  audit.set(row.index, row);
  if (audit.size <= AUDIT_ROWS_MAX) return;
  for (const oldest of audit.keys()) {
    audit.delete(oldest);
    return;
  }
}

function modelText({ host, namespace, model, tag }: ModelName): string {
  return `${host}/${namespace}/${model}:${tag}`;
}

function memberText(tables: CatalogueTables, nodeId: NodeId): string {
  const label = tables.members.get(nodeId)?.label;
  return label === undefined ? nodeId : `${nodeId} ${label}`;
}

function keyText(key: { readonly keyId: string; readonly label: string }): string {
  return key.label === "" ? key.keyId : `${key.keyId} ${key.label}`;
}
