import { assert, assertNever } from "../../base/mod.ts";
import { CATALOGUE_SCHEMA, type CatalogueCommand, schemaOf } from "../../protocol/mod.ts";
import {
  admitMember,
  createApiKey,
  createToken,
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
import { type CatalogueTables, type Refusal, TABLE_ROWS_MAX } from "./rows.ts";

/**
 * Does a command to the tables, or changes nothing and says why. The same tables, command and index give the same result
 * on every node: no clock, no randomness, no iteration whose order could differ.
 */
export function applyCommand(
  tables: CatalogueTables,
  command: CatalogueCommand,
  index: number,
): Refusal | undefined {
  if (schemaOf(command.kind) > tables.schema) return "schema_not_active";
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
  tables.schema = schema;
}
