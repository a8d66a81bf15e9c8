import { equalBytes, hexOf, RequestError, UnavailableError } from "../base/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import type { Clock, KeyLimits, KeyRowView, KeyWish, TokenRowView } from "../ports/mod.ts";
import { type CatalogueCommand, SCOPES } from "../protocol/mod.ts";
import { type CatalogueGroup, CHANGE_TIMEOUT_MS, READ_TIMEOUT_MS } from "../group/mod.ts";
import { KEY_LIMIT_RANGES, limitsKey, NO_LIMITS, writeKeyLimits } from "../core/queue/mod.ts";
import { keyLimitsOf } from "./client_access.ts";
import { checkRange, refusal } from "./refusals.ts";

/** An id is drawn anew this often when it is taken: 40 bits make once unlikely. */
const DRAWS_MAX = 3;
/** A token is made anew this often when the cluster's authority was replaced meanwhile. */
const TOKEN_ROUNDS_MAX = 3;
const ID_BYTES = 5;
const SECRET_BYTES = 16;
const DAY_MS = 24 * 3_600_000;
const TOKEN_LIFETIME_MS = { low: 1_000, high: 365 * DAY_MS };
const TOKEN_USES = { low: 1, high: 1_000 };
const KEY_LIFETIME_MS = { low: 1_000, high: 3_650 * DAY_MS };
const KEY_LABEL_CHARACTERS_MAX = 64;
/** What the list of keys calls the one that a first start makes. */
const FIRST_KEY_LABEL = "first start";

/** An id and a secret that were just drawn. */
export interface DrawnSecret {
  readonly id: string;
  readonly secret: Uint8Array;
}

/** What secrets are made with, and where what tells them is kept. */
export interface CredentialsParts {
  readonly group: CatalogueGroup;
  readonly clock: Clock;
  readonly drawBytes: (count: number) => Uint8Array;
  /** What is kept of an API key. */
  readonly hashSecret: (secret: Uint8Array) => Promise<Uint8Array>;
  /** What is kept of a join token. */
  readonly tokenVerifier: (secret: Uint8Array) => Promise<Uint8Array>;
  /** What a join token knows the cluster by: the key (SPKI) of the authority that is going to stay, waited for. */
  readonly authority: () => Promise<Uint8Array<ArrayBuffer>>;
  readonly encodeToken: (drawn: DrawnSecret, authorityKey: Uint8Array<ArrayBuffer>) => string;
  readonly encodeKey: (drawn: DrawnSecret) => string;
}

/** Join tokens and API keys: shown once, kept as hashes in the catalogue. */
export class Credentials {
  readonly #parts: CredentialsParts;

  constructor(parts: CredentialsParts) {
    this.#parts = parts;
  }

  async createToken(
    wanted: { readonly lifetimeMs: number; readonly uses: number },
  ): Promise<TokenRowView & { readonly token: string }> {
    const { lifetimeMs, uses } = wanted;
    checkRange("lifetime", lifetimeMs, TOKEN_LIFETIME_MS);
    checkRange("uses", uses, TOKEN_USES);
    const { clock, authority, encodeToken, tokenVerifier } = this.#parts;
    const expiresAtMs = clock.nowMs() + lifetimeMs;
    for (let round = 1;; round++) {
      const before = await authority();
      const drawn = await this.#create("create a token", tokenVerifier, (id, verifier) => ({
        kind: "create_token",
        tokenId: id,
        expiresAtMs,
        uses,
        verifier,
      }));
      // A machine that was revoked before this entry takes the token along with the authority that it names.
      if (equalBytes(before, await authority())) {
        return {
          token: encodeToken(drawn, before),
          tokenId: drawn.id,
          expiresAtMs,
          usesLeft: uses,
        };
      }
      if (round === TOKEN_ROUNDS_MAX) {
        const text = "Cannot create a token: the cluster's authority is being replaced; try again";
        throw new UnavailableError("no_quorum", text);
      }
    }
  }

  async listTokens(): Promise<readonly TokenRowView[]> {
    const rows = await this.#read((catalogue) => catalogue.tokens());
    return rows.map(({ tokenId, expiresAtMs, usesLeft }) => ({ tokenId, expiresAtMs, usesLeft }));
  }

  async revokeToken(tokenId: string): Promise<void> {
    if (await this.#delete({ kind: "delete_token", tokenId })) return;
    throw new RequestError("token_not_found", `there is no token "${tokenId}"`);
  }

  async createKey(wish: KeyWish): Promise<KeyRowView & { readonly key: string }> {
    const { label, lifetimeMs, scopes, limits = NO_LIMITS } = wish;
    checkLimits(limits);
    if (lifetimeMs !== 0) checkRange("lifetime", lifetimeMs, KEY_LIFETIME_MS);
    checkRange("characters of the label", label.length, {
      low: 0,
      high: KEY_LABEL_CHARACTERS_MAX,
    });
    const createdAtMs = this.#parts.clock.nowMs();
    const expiresAtMs = lifetimeMs === 0 ? 0 : createdAtMs + lifetimeMs;
    const drawn = await this.#create("create a key", this.#parts.hashSecret, (id, secretHash) => ({
      kind: "create_scoped_key",
      keyId: id,
      secretHash,
      label,
      scopes,
      expiresAtMs,
      atMs: createdAtMs,
      initial: 0,
    }));
    const key = this.#parts.encodeKey(drawn);
    const keyId = drawn.id;
    if (!isSame(limits, NO_LIMITS)) await this.#putLimits(keyId, limits);
    return { key, keyId, label, createdAtMs, expiresAtMs, scopes, lastUsedAtMs: 0, limits };
  }

  /**
   * The key with which a cluster that can be reached from other machines is run until somebody makes others. Undefined when
   * there ever was one.
   */
  async createFirstKey(): Promise<string | undefined> {
    const { drawBytes, hashSecret, group, clock } = this.#parts;
    if (!group.catalogue.neverHadKeys) return undefined;
    const [id, secret] = [hexOf(drawBytes(ID_BYTES)), drawBytes(SECRET_BYTES)];
    const outcome = await group.propose({
      kind: "create_scoped_key",
      keyId: id,
      secretHash: await hashSecret(secret),
      label: FIRST_KEY_LABEL,
      scopes: SCOPES,
      expiresAtMs: 0,
      atMs: clock.nowMs(),
      initial: 1,
    }, { timeoutMs: CHANGE_TIMEOUT_MS });
    if (outcome.kind === "applied") return this.#parts.encodeKey({ id, secret });
    if (outcome.reason === "already_exists") return undefined;
    throw refusal(outcome.reason, "create the first key");
  }

  async listKeys(): Promise<readonly KeyRowView[]> {
    return await this.#read((catalogue) =>
      catalogue.apiKeys().map((row) => {
        const { keyId, label, createdAtMs, expiresAtMs, scopes, lastUsedAtMs } = row;
        const limits = keyLimitsOf(catalogue, keyId);
        return { keyId, label, createdAtMs, expiresAtMs, scopes, lastUsedAtMs, limits };
      })
    );
  }

  /** @throws RequestError `key_not_found`, and for a limit out of its range. */
  async limitKey(keyId: string, wanted: Partial<KeyLimits>): Promise<KeyLimits> {
    const present = await this.#read((catalogue) =>
      catalogue.findApiKey(keyId) && keyLimitsOf(catalogue, keyId)
    );
    if (present === undefined) throw noSuchKey(keyId);
    const limits = { ...present, ...wanted };
    checkLimits(limits);
    await this.#putLimits(keyId, limits);
    return limits;
  }

  async #putLimits(keyId: string, limits: KeyLimits): Promise<void> {
    const setting = { key: limitsKey(keyId), value: writeKeyLimits(limits), expected: undefined };
    const command = { kind: "put_setting", ...setting } as const;
    const outcome = await this.#parts.group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
    if (outcome.kind !== "applied") throw refusal(outcome.reason, "limit the key");
  }

  async revokeKey(keyId: string): Promise<void> {
    if (!await this.#delete({ kind: "delete_api_key", keyId })) throw noSuchKey(keyId);
    await this.#delete({ kind: "delete_setting", key: limitsKey(keyId), expected: undefined });
  }

  /** Draws until the id is a free one. */
  async #create(
    action: string,
    keep: (secret: Uint8Array) => Promise<Uint8Array>,
    commandOf: (id: string, kept: Uint8Array) => CatalogueCommand,
  ): Promise<DrawnSecret> {
    const { drawBytes, group } = this.#parts;
    const secret = drawBytes(SECRET_BYTES);
    const kept = await keep(secret);
    for (let draw = 1;; draw++) {
      const id = hexOf(drawBytes(ID_BYTES));
      const command = commandOf(id, kept);
      const outcome = await group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
      if (outcome.kind === "applied") return { id, secret };
      if (outcome.reason !== "already_exists" || draw === DRAWS_MAX) {
        throw refusal(outcome.reason, action);
      }
    }
  }

  /** Whether there was anything to delete. */
  async #delete(command: CatalogueCommand): Promise<boolean> {
    const outcome = await this.#parts.group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
    if (outcome.kind === "applied") return true;
    if (outcome.reason === "not_found") return false;
    throw refusal(outcome.reason, "revoke it");
  }

  #read<T>(look: (catalogue: Catalogue) => T): Promise<T> {
    return this.#parts.group.read(look, { timeoutMs: READ_TIMEOUT_MS });
  }
}

function noSuchKey(keyId: string): RequestError {
  return new RequestError("key_not_found", `there is no key "${keyId}"`);
}

const LIMIT_NAMES: Readonly<Record<keyof KeyLimits, string>> = {
  weight: "weight",
  requestsPerMinute: "requests a minute",
  tokensPerDay: "tokens a day",
  concurrentRequests: "requests at once",
};

function checkLimits(limits: KeyLimits): void {
  for (const name of Object.keys(LIMIT_NAMES) as (keyof KeyLimits)[]) {
    checkRange(LIMIT_NAMES[name], limits[name], KEY_LIMIT_RANGES[name]);
  }
}

function isSame(a: KeyLimits, b: KeyLimits): boolean {
  return (Object.keys(LIMIT_NAMES) as (keyof KeyLimits)[]).every((name) => a[name] === b[name]);
}
