import { canonicalAddress, type Network, networkOf } from "./hosts.ts";
import { RequestError } from "../../base/mod.ts";
import type { KeyAccess, KeyGrant } from "../../ports/mod.ts";
import { type Scope, SCOPES } from "../../protocol/mod.ts";

/** Who a request came from, as far as its connection tells. */
export type Sender =
  | {
    readonly kind: "machine";
    readonly address: string;
    /** {@link address} is one of this machine's own. */
    readonly isOwn: boolean;
  }
  /** A client on the port between nodes, which lets nobody in without a key. */
  | { readonly kind: "key_holder"; readonly address: string; readonly key: string };

/** Who a request counts as: what connection, `Host` and the headers of proxies leave of {@link Sender}. */
export type Caller =
  /** A client on this machine, which asks under one of its names. */
  | { readonly kind: "own"; readonly address: string; readonly isPage: boolean }
  | {
    readonly kind: "afar";
    readonly address: string;
    readonly network: "private" | "public";
    /** A web page of another origin that may ask at all: whoever wrote it is not who opened it. */
    readonly isPage: boolean;
  }
  | Extract<Sender, { readonly kind: "key_holder" }>;

/** This machine itself, where nothing else is said. */
export const OWN_SENDER: Sender = { kind: "machine", address: "127.0.0.1", isOwn: true };

/** Headers with which proxies, tunnels and load balancers say that they carry somebody else's request. */
const FORWARDING_HEADERS: ReadonlySet<string> = new Set([
  "forwarded",
  "via",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-envoy-external-address",
  "true-client-ip",
  "fly-client-ip",
  "fastly-client-ip",
]);
const FORWARDING_PREFIXES = ["x-forwarded-", "cf-", "tailscale-"];
/** Those of them that name the client, one address or several with commas between. */
const CLIENT_HEADERS = [
  "x-forwarded-for",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-envoy-external-address",
  "true-client-ip",
  "cf-connecting-ip",
  "fly-client-ip",
  "fastly-client-ip",
];

/**
 * A request that was carried here is from afar, whoever carried it. Its addresses can be forged, but only towards what a
 * carrier that says nothing would have got anyway; one public address, or none at all, makes it public.
 */
export function callerOf(
  sender: Extract<Sender, { readonly kind: "machine" }>,
  request: {
    readonly headers: Headers;
    readonly underOwnName: boolean;
    readonly isPage: boolean;
  },
): Exclude<Caller, { readonly kind: "key_holder" }> {
  const { address, isOwn } = sender;
  const { headers, underOwnName, isPage } = request;
  const direct = canonicalAddress(address);
  if (!isForwarded(headers)) {
    if (isOwn && underOwnName) return { kind: "own", address, isPage };
    const network = isOwn ? "private" : privateOrPublic(direct);
    return { kind: "afar", address, network, isPage };
  }
  const named = forwardedAddresses(headers);
  const networks = [isOwn ? "private" : privateOrPublic(direct), ...named.map(privateOrPublic)];
  const isPrivate = named.length > 0 && networks.every((network) => network === "private");
  const shown = named.find((one) => one !== undefined);
  return {
    kind: "afar",
    address: shown === undefined ? address : `${shown} through ${address}`,
    network: isPrivate ? "private" : "public",
    isPage,
  };
}

function isForwarded(headers: Headers): boolean {
  let isFound = false;
  // A loop over their names would cost more than all other looks at a request.
  headers.forEach((_, name) => {
    isFound ||= FORWARDING_HEADERS.has(name) ||
      FORWARDING_PREFIXES.some((prefix) => name.startsWith(prefix));
  });
  return isFound;
}

/** Undefined for each that can't be read. */
function forwardedAddresses(headers: Headers): readonly (string | undefined)[] {
  const listed = CLIENT_HEADERS.flatMap((name) => headers.get(name)?.split(",") ?? []);
  const elements = headers.get("forwarded")?.split(",") ?? [];
  const clients = elements.map((element) => /(?:^|;)\s*for="?([^";]*)/i.exec(element)?.[1] ?? "");
  return [...listed, ...clients].map((text) => readAddress(text.trim()));
}

/** With or without a port. */
function readAddress(text: string): string | undefined {
  const whole = canonicalAddress(text);
  if (whole !== undefined) return whole;
  return canonicalAddress(text.replace(/:\d{1,5}$/, ""));
}

function privateOrPublic(address: string | undefined): "private" | "public" {
  if (address === undefined) return "public";
  const network: Network = networkOf(address);
  return network === "public" ? "public" : "private";
}

/** Who was let in, and with what. */
export interface Authorized {
  readonly scopes: readonly Scope[];
  /** For the list of changes. */
  readonly who: string;
  readonly from: string;
  /** With which key; absent where none was looked at. */
  readonly keyId?: string;
  /** Of that key. */
  readonly limits?: KeyGrant["limits"];
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
  const { scopes, keyId, limits } = grant;
  return { scopes, who: nameOf(grant), from, keyId, limits };
}

/** The key that a request shows, also where none is needed; undefined = none that opens anything. */
export async function shownKey(
  caller: Caller,
  by: { readonly access: KeyAccess | undefined; readonly authorization: string | null },
): Promise<KeyGrant | undefined> {
  const key = caller.kind === "key_holder" ? caller.key : bearerOf(by.authorization);
  if (by.access === undefined || key === undefined) return undefined;
  const verdict = await by.access.judge(key);
  return verdict.kind === "granted" ? verdict.grant : undefined;
}

/**
 * Whose an answer is, wherever its client comes back for it: of whoever has the key, if one is shown that opens anything,
 * also where none is needed; else of the machine, and of pages of one origin there.
 */
export async function ownerOf(
  caller: Caller,
  by: {
    readonly access: KeyAccess | undefined;
    readonly authorization: string | null;
    readonly authorized: Authorized | undefined;
  },
  at: {
    readonly ownAddress: string;
    readonly origin: string | null;
    /** The page is another member's: there it was no stranger's, and so it is none here. */
    readonly isMemberOrigin: boolean;
  },
): Promise<string> {
  const { access, authorization, authorized } = by;
  const key = bearerOf(authorization);
  let keyId = authorized?.keyId;
  if (keyId === undefined && access !== undefined && key !== undefined) {
    const verdict = await access.judge(key);
    if (verdict.kind === "granted") keyId = verdict.grant.keyId;
  }
  if (keyId !== undefined) return `key ${keyId}`;
  const address = caller.kind === "own" ? at.ownAddress || caller.address : caller.address;
  const isPage = caller.kind !== "key_holder" && caller.isPage && !at.isMemberOrigin;
  return `${isPage ? `page ${at.origin} ` : ""}at ${address}`;
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
