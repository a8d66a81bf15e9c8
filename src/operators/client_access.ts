import { equalBytes, UnavailableError } from "../base/mod.ts";
import { admittedMembers, type ApiKeyRow, type Catalogue } from "../core/catalogue/mod.ts";
import { KeyMeter, limitsKey, NO_LIMITS, readKeyLimits } from "../core/queue/mod.ts";
import type { Clock, KeyAccess, KeyLimits, KeyVerdict } from "../ports/mod.ts";
import {
  type ApiKey,
  CLIENT_MEMBERS_MAX,
  type ClientVerdict,
  decodeApiKey,
  type KeyUses,
  type Scope,
  SCOPES,
} from "../protocol/mod.ts";
import { type Group, READ_TIMEOUT_MS } from "../group/mod.ts";

/** What it takes to tell what a key is worth. */
export interface ClientAccessParts {
  readonly self: { readonly name: string; readonly version: string };
  readonly group: () => Pick<Group, "catalogue" | "read">;
  readonly clock: Clock;
  readonly hashSecret: (secret: Uint8Array) => Promise<Uint8Array>;
  readonly lookups: LogLookups;
  /** A key was shown, and opened the node. */
  readonly noteUse: (row: ApiKeyRow) => void;
}

/** Keys looked for in the log at once. Strangers can make up keys as fast as they like, and reads are there for others, too. */
const LOOKUPS_MAX = 16;

/** Counts those who look for a key in the log; beyond the limit a key that is not known here is unknown. */
export class LogLookups {
  #open = 0;

  async find(read: () => Promise<ApiKeyRow | undefined>): Promise<ApiKeyRow | undefined> {
    if (this.#open >= LOOKUPS_MAX) return undefined;
    this.#open++;
    try {
      return await read();
    } catch (error) {
      // Without a quorum what this node has applied is all there is to go by.
      if (error instanceof UnavailableError) return undefined;
      throw error;
    } finally {
      this.#open--;
    }
  }
}

/** Says whether a key opens this node to a session of its own; what it may do there is asked with each request. */
export async function admitClient(key: string, parts: ClientAccessParts): Promise<ClientVerdict> {
  const verdict = await judgeKey(key, parts);
  if (verdict.kind === "refused") return verdict;
  const { name, version } = parts.self;
  const members = memberKeys(parts.group().catalogue);
  return { kind: "welcome", node: name, version, ...(members && { members }) };
}

/** Undefined when there are none yet, or too many to tell. */
function memberKeys(catalogue: Pick<Catalogue, "members">): readonly string[] | undefined {
  const admitted = admittedMembers(catalogue);
  if (admitted.length === 0 || admitted.length > CLIENT_MEMBERS_MAX) return undefined;
  return admitted.map(({ publicKey }) => publicKey.toBase64());
}

/** What a key is worth now. */
async function judgeKey(key: string, parts: ClientAccessParts): Promise<KeyVerdict> {
  const decoded = decodeApiKey(key);
  if (decoded.kind === "malformed") return refused(`this is no API key: ${decoded.reason}`);
  const { keyId, secret } = decoded.value;
  const row = await findRow(decoded.value, parts);
  if (row === undefined) return refused(`key "${keyId}" was revoked, or never was this cluster's`);
  // Hashes of secrets that nobody could guess: how long the comparison takes tells nothing of use.
  if (!equalBytes(await parts.hashSecret(secret), row.secretHash)) {
    return refused(`the secret of key "${keyId}" is another one`);
  }
  const nowMs = parts.clock.nowMs();
  if (row.expiresAtMs !== 0 && nowMs >= row.expiresAtMs) {
    const until = new Date(row.expiresAtMs).toISOString();
    return refused(`key "${keyId}" was valid until ${until}`);
  }
  parts.noteUse(row);
  const { label, scopes } = row;
  const limits = keyLimitsOf(parts.group().catalogue, keyId);
  return { kind: "granted", grant: { keyId, label, scopes, limits } };
}

/** What a key may ask for, as this node knows it. */
export function keyLimitsOf(
  catalogue: Pick<Catalogue, "findSetting">,
  keyId: string,
): KeyLimits {
  return readKeyLimits(catalogue.findSetting(limitsKey(keyId))?.value);
}

/** What this node tells of the use of keys, and what becomes of what the others tell. */
class SharedKeyUses {
  readonly meter: KeyMeter = new KeyMeter();
  readonly #by: { readonly catalogue: () => Pick<Catalogue, "findSetting">; readonly clock: Clock };

  constructor(
    by: { readonly catalogue: () => Pick<Catalogue, "findSetting">; readonly clock: Clock },
  ) {
    this.#by = by;
  }

  read(): KeyUses {
    return this.meter.told(this.#by.clock.nowMs());
  }

  hear(nodeId: string, uses: KeyUses | undefined): void {
    const { catalogue, clock } = this.#by;
    const limitsOf = (keyId: string) => keyLimitsOf(catalogue(), keyId);
    this.meter.hear(nodeId, uses, { limitsOf, nowMs: clock.nowMs() });
  }

  onChanged(listener: () => void): void {
    this.meter.onChanged(listener);
  }
}

/** What a tenant of the queue gets in proportion to others: as its key says, 1 without one. */
export function tenantWeight(catalogue: Pick<Catalogue, "findSetting">, tenant: string): number {
  const keyId = /^key (.+)$/.exec(tenant)?.[1];
  return keyId === undefined ? NO_LIMITS.weight : keyLimitsOf(catalogue, keyId).weight;
}

/** What is open to private networks without a key. `auto`: `use`, until somebody made a key. */
export type OpenTo = "auto" | "all" | "use" | "none";

/** Judges the callers of the HTTP API. Public addresses get nothing without a key, whatever is open. */
export function keyAccess(
  parts: ClientAccessParts & { readonly open: OpenTo },
): KeyAccess & { readonly uses: SharedKeyUses } {
  return {
    uses: new SharedKeyUses({ catalogue: () => parts.group().catalogue, clock: parts.clock }),
    openScopes: (network) => network === "public" ? [] : openScopes(parts),
    judge: (key) => judgeKey(key, parts),
  };
}

function openScopes(
  { open, group }: ClientAccessParts & { readonly open: OpenTo },
): readonly Scope[] {
  switch (open) {
    case "all":
      return SCOPES;
    case "use":
      return ["use"];
    case "none":
      return [];
    case "auto":
      return group().catalogue.wantsKeys ? [] : ["use"];
  }
}

/** From what this node has applied, and from the log where that says nothing: the key may be a moment old. */
async function findRow(
  { keyId }: ApiKey,
  { group, lookups }: ClientAccessParts,
): Promise<ApiKeyRow | undefined> {
  const look = (catalogue: Catalogue) => catalogue.findApiKey(keyId);
  const known = look(group().catalogue);
  if (known !== undefined) return known;
  return await lookups.find(() => group().read(look, { timeoutMs: READ_TIMEOUT_MS }));
}

function refused(reason: string): { readonly kind: "refused"; readonly reason: string } {
  return { kind: "refused", reason };
}
