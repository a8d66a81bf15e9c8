import { RequestError } from "../../base/mod.ts";
import type { KeyAccess, KeyGrant } from "../../ports/mod.ts";
import { type Scope, SCOPES } from "../../protocol/mod.ts";
import type { Caller } from "./sender.ts";

/** Who was let in, and with what. */
export interface Authorized {
  readonly scopes: readonly Scope[];
  /** For the list of changes. */
  readonly who: string;
  readonly from: string;
}

/**
 * What pages of other origins may do at most without a key: what Ollama's web clients do. Their origins are allowed by
 * patterns as wide as any port of this machine, or any file that somebody opens.
 */
const PAGE_SCOPES: readonly Scope[] = ["use", "models"];

/**
 * Lets a caller do what wants `scope`. This machine's own clients never need a key, as they never need one for Ollama;
 * others do for all that is not open to their network, and pages for what rules the cluster. Without an `access` nothing is
 * closed.
 *
 * @throws RequestError `unauthorized` without a key that opens anything, `forbidden` with one that does not open this.
 */
export async function authorize(
  caller: Caller,
  scope: Scope,
  by: { readonly access: KeyAccess | undefined; readonly authorization: string | null },
): Promise<Authorized> {
  const { access, authorization } = by;
  const { address: from } = caller;
  if (access === undefined) return { scopes: SCOPES, who: "this machine", from };
  const open = openTo(caller, access);
  // Clients of OpenAI's must send some key, so one that is not looked at is no fault.
  if (open.includes(scope)) return { scopes: open, who: whoIs(caller), from };
  const key = caller.kind === "key_holder" ? caller.key : bearerOf(authorization);
  if (key === undefined) throw new RequestError("unauthorized", keyNeeded(scope));
  const verdict = await access.judge(key);
  if (verdict.kind === "refused") {
    throw new RequestError("unauthorized", `unauthorized: ${verdict.reason}`);
  }
  const { grant } = verdict;
  if (!grant.scopes.includes(scope)) throw new RequestError("forbidden", outOfScope(grant, scope));
  return { scopes: grant.scopes, who: nameOf(grant), from };
}

function openTo(caller: Caller, access: KeyAccess): readonly Scope[] {
  if (caller.kind === "key_holder") return [];
  const open = caller.kind === "own" ? SCOPES : access.openScopes(caller.network);
  return caller.isPage ? open.filter((scope) => PAGE_SCOPES.includes(scope)) : open;
}

function whoIs(caller: Caller): string {
  const who = caller.kind === "own" ? "this machine" : "anyone";
  return caller.kind !== "key_holder" && caller.isPage ? `a page, ${who}` : who;
}

/** The key as clients of any of the APIs send it: Anthropic's have a header of their own. */
export function authorizationOf(headers: Headers): string | null {
  const key = headers.get("x-api-key");
  return headers.get("authorization") ?? (key === null ? null : `Bearer ${key}`);
}

function bearerOf(header: string | null): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
}

function keyNeeded(scope: Scope): string {
  return `unauthorized: from another machine or a web page this needs a key with the scope "${scope}". ` +
    `Make one where a node runs: odist key create --scope ${scope}. ` +
    `Then send it as Authorization: Bearer KEY (commands: ODIST_KEY=KEY)`;
}

function outOfScope(grant: KeyGrant, scope: Scope): string {
  return `forbidden: this needs the scope "${scope}", and key "${grant.keyId}" has ` +
    `${grant.scopes.join(", ")}. Make another where a node runs: odist key create --scope ${scope}`;
}

function nameOf({ keyId, label }: KeyGrant): string {
  return label === "" ? `key ${keyId}` : `key ${keyId} ${label}`;
}
