import { equalBytes, UnavailableError } from "../base/mod.ts";
import type { ApiKeyRow, Catalogue } from "../core/catalogue/mod.ts";
import type { Clock, KeyAccess } from "../ports/mod.ts";
import { type ApiKey, type ClientVerdict, decodeApiKey } from "../protocol/mod.ts";
import { type Group, READ_TIMEOUT_MS } from "../group/mod.ts";

/** What it takes to tell what a key is worth. */
export interface ClientAccessParts {
  readonly self: { readonly name: string; readonly version: string };
  readonly group: () => Pick<Group, "catalogue" | "read">;
  readonly clock: Clock;
  readonly hashSecret: (secret: Uint8Array) => Promise<Uint8Array>;
}

/** Says whether a key opens this node. */
export async function admitClient(key: string, parts: ClientAccessParts): Promise<ClientVerdict> {
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
  const { name, version } = parts.self;
  return { kind: "welcome", node: name, version };
}

/** The same for the HTTP API. */
export function keyAccess(parts: ClientAccessParts): KeyAccess {
  return {
    isWanted: () => parts.group().catalogue.hasApiKeys(),
    async refusalOf(key) {
      const verdict = await admitClient(key, parts);
      return verdict.kind === "refused" ? verdict.reason : undefined;
    },
  };
}

/** From what this node has applied, and from the log where that says nothing: the key may be a moment old. */
async function findRow(
  { keyId }: ApiKey,
  { group }: ClientAccessParts,
): Promise<ApiKeyRow | undefined> {
  const look = (catalogue: Catalogue) => catalogue.findApiKey(keyId);
  const known = look(group().catalogue);
  if (known !== undefined) return known;
  try {
    return await group().read(look, { timeoutMs: READ_TIMEOUT_MS });
  } catch (error) {
    // Without a quorum what this node has applied is all there is to go by.
    if (error instanceof UnavailableError) return undefined;
    throw error;
  }
}

function refused(reason: string): ClientVerdict {
  return { kind: "refused", reason };
}
