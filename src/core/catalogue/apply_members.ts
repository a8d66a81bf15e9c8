import { equalBytes } from "../../base/mod.ts";
import { type CatalogueCommand, ORIGIN_SCHEMA, SCOPES } from "../../protocol/mod.ts";
import { checkRevision } from "./apply_models.ts";
import { type CatalogueTables, drainKey, leaveKey, type Refusal, TABLE_ROWS_MAX } from "./rows.ts";

type CommandOf<Kind extends CatalogueCommand["kind"]> = Extract<
  CatalogueCommand,
  { readonly kind: Kind }
>;

export function admitMember(
  tables: CatalogueTables,
  command: CommandOf<"admit_member">,
  index: number,
): Refusal | undefined {
  const { nodeId, publicKey, label, tokenId, atMs } = command;
  const held = tables.members.get(nodeId);
  if (held !== undefined) return held.standing === "revoked" ? "member_revoked" : "already_exists";
  for (const member of tables.members.values()) {
    // A banned machine that made itself a new id still has its key.
    if (!equalBytes(member.publicKey, publicKey)) continue;
    return member.standing === "revoked" ? "member_revoked" : "already_exists";
  }
  if (tables.members.size >= TABLE_ROWS_MAX.members) return "table_full";
  const token = tokenId === undefined ? undefined : tables.tokens.get(tokenId);
  if (tokenId !== undefined && token === undefined) return "token_unknown";
  if (token !== undefined) {
    if (atMs >= token.expiresAtMs) return "token_expired";
    const usesLeft = token.usesLeft - 1;
    // One entry admits the member and uses up the token: no crash between them can give a use twice.
    if (usesLeft === 0) tables.tokens.delete(token.tokenId);
    else tables.tokens.set(token.tokenId, { ...token, usesLeft, revision: index });
  }
  const row = { nodeId, publicKey, label, changedAtMs: atMs, revision: index };
  tables.members.set(nodeId, { ...row, standing: "admitted" });
}

export function revokeMember(
  tables: CatalogueTables,
  command: CommandOf<"revoke_member">,
  index: number,
): Refusal | undefined {
  const row = tables.members.get(command.nodeId);
  if (row === undefined) return "not_found";
  if (row.standing === "revoked") return undefined;
  releaseNode(tables, command.nodeId, index);
  const changed = { standing: "revoked", changedAtMs: command.atMs, revision: index } as const;
  tables.members.set(command.nodeId, { ...row, ...changed });
}

export function removeMember(
  tables: CatalogueTables,
  command: CommandOf<"remove_member">,
  index: number,
): Refusal | undefined {
  const row = tables.members.get(command.nodeId);
  if (row === undefined) return "not_found";
  // Forgetting a revoked member would let it back in.
  if (row.standing === "revoked") return "member_revoked";
  releaseNode(tables, command.nodeId, index);
  tables.members.delete(command.nodeId);
}

export function setVoters(
  tables: CatalogueTables,
  command: CommandOf<"set_voters">,
  index: number,
): Refusal | undefined {
  const { voters, expected } = command;
  const refusal = checkRevision(tables.voters, expected);
  if (refusal !== undefined) return refusal;
  const sorted = [...new Set(voters)].sort();
  if (sorted.length === 0 || sorted.length !== voters.length) return "bad_voters";
  for (const nodeId of sorted) {
    if (tables.members.get(nodeId)?.standing !== "admitted") return "not_a_member";
  }
  tables.voters = { voters: sorted, revision: index };
}

export function createToken(
  tables: CatalogueTables,
  command: CommandOf<"create_token">,
  index: number,
): Refusal | undefined {
  const { tokenId, verifier, expiresAtMs, uses } = command;
  if (tables.tokens.has(tokenId)) return "already_exists";
  if (uses === 0) return "malformed_command";
  if (tables.tokens.size >= TABLE_ROWS_MAX.tokens) return "table_full";
  tables.tokens.set(tokenId, {
    tokenId,
    verifier,
    expiresAtMs,
    usesLeft: uses,
    revision: index,
  });
}

/** Of schema 1: a key may do everything. */
export function createApiKey(
  tables: CatalogueTables,
  command: CommandOf<"create_api_key">,
  index: number,
): Refusal | undefined {
  const refusal = putKey(tables, { ...command, scopes: SCOPES }, index);
  if (refusal === undefined && tables.schema >= ORIGIN_SCHEMA) tables.keyHistory = "made";
  return refusal;
}

export function createScopedKey(
  tables: CatalogueTables,
  command: CommandOf<"create_scoped_key">,
  index: number,
): Refusal | undefined {
  const { initial } = command;
  // Nodes may start for the first time side by side, and one key is to be found by whoever reads their output.
  if (initial === 1 && tables.keyHistory !== "none") return "already_exists";
  const refusal = putKey(tables, command, index);
  if (refusal === undefined) tables.keyHistory = initial === 1 ? "initial" : "made";
  return refusal;
}

export function noteKeyUse(
  tables: CatalogueTables,
  { keyId, atMs }: CommandOf<"note_key_use">,
): Refusal | undefined {
  const row = tables.apiKeys.get(keyId);
  if (row === undefined) return "not_found";
  // Nodes tell it side by side, and their clocks differ.
  if (atMs > row.lastUsedAtMs) tables.apiKeys.set(keyId, { ...row, lastUsedAtMs: atMs });
}

function putKey(
  tables: CatalogueTables,
  made: Omit<CommandOf<"create_scoped_key">, "kind" | "initial">,
  index: number,
): Refusal | undefined {
  const { keyId, secretHash, label, scopes, expiresAtMs, atMs: createdAtMs } = made;
  if (tables.apiKeys.has(keyId)) return "already_exists";
  if (tables.apiKeys.size >= TABLE_ROWS_MAX.apiKeys) return "table_full";
  const row = { keyId, secretHash, label, scopes, expiresAtMs, createdAtMs };
  tables.apiKeys.set(keyId, { ...row, revision: index, lastUsedAtMs: 0 });
}

/**
 * A node that goes takes its pins, its vote and the settings about it with it; what is left must still be a group. A node
 * that left and joins again would otherwise be told to leave at once.
 */
function releaseNode(
  tables: CatalogueTables,
  nodeId: CommandOf<"remove_member">["nodeId"],
  index: number,
): void {
  for (const [key, row] of tables.models) {
    if (!row.pins.includes(nodeId)) continue;
    const pins = row.pins.filter((pin) => pin !== nodeId);
    tables.models.set(key, { ...row, pins, revision: index });
  }
  tables.settings.delete(drainKey(nodeId));
  tables.settings.delete(leaveKey(nodeId));
  if (tables.schema >= ORIGIN_SCHEMA) {
    for (const key of tables.settings.keys()) {
      if (key.endsWith(`.${nodeId}`)) tables.settings.delete(key);
    }
  }
  const { voters } = tables.voters;
  if (!voters.includes(nodeId)) return;
  tables.voters = { voters: voters.filter((voter) => voter !== nodeId), revision: index };
}
