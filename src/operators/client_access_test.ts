import assert from "node:assert/strict";
import { UnavailableError } from "../base/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import { CATALOGUE_SCHEMA, encodeApiKey, encodeCommand, type Scope } from "../protocol/mod.ts";
import { NO_LIMITS, writeKeyLimits } from "../core/queue/mod.ts";
import {
  admitClient,
  type ClientAccessParts,
  keyAccess,
  LogLookups,
  tenantWeight,
} from "./client_access.ts";

const NOW_MS = 1_000_000;
const AUTHORITY_KEY = Uint8Array.fromHex(
  "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + "5a".repeat(64),
);

function keyOf(keyId: string, secretByte: number): string {
  const secret = new Uint8Array(16).fill(secretByte);
  return encodeApiKey({ keyId, secret, authorityKey: AUTHORITY_KEY });
}

/** A catalogue with key `k1` of secret 7. */
function catalogueWithKey(expiresAtMs: number): Catalogue {
  const catalogue = Catalogue.empty();
  const secretHash = new Uint8Array(32).fill(7);
  const row = { keyId: "k1", secretHash, label: "laptop", expiresAtMs, atMs: 1 };
  const command = { kind: "create_api_key", ...row } as const;
  catalogue.apply(1, encodeCommand({ command, request: undefined }));
  return catalogue;
}

function access(
  applied: Catalogue,
  read: () => Promise<Catalogue> = () => Promise.resolve(applied),
): ClientAccessParts {
  return {
    self: { name: "n1", version: "0.1.0" },
    group: () => ({ catalogue: applied, read: async (look) => look(await read()) }),
    clock: { nowMs: () => NOW_MS, monotonicMs: () => 0, after: () => ({ cancel() {} }) },
    lookups: new LogLookups(),
    noteUse: () => {},
    hashSecret: (secret) => Promise.resolve(new Uint8Array(32).fill(secret[0] ?? 0)),
  };
}

const WELCOME = { kind: "welcome", node: "n1", version: "0.1.0" };

Deno.test("A key opens a node for as long as it is valid, and only with its secret", async () => {
  const verdict = (key: string, expiresAtMs: number) =>
    admitClient(key, access(catalogueWithKey(expiresAtMs)));
  assert.deepEqual(await verdict(keyOf("k1", 7), 0), WELCOME);
  assert.deepEqual(await verdict(keyOf("k1", 7), NOW_MS + 1), WELCOME);
  for (
    const [key, expiresAtMs, reason] of [
      [keyOf("k1", 7), NOW_MS, /valid until 1970/],
      [keyOf("k1", 8), 0, /the secret of key "k1" is another one/],
      [keyOf("k2", 7), 0, /"k2" was revoked, or never was/],
      ["odist-key-xyz", 0, /no API key: it is cut short or has a typo/],
    ] as const
  ) {
    const refused = await verdict(key, expiresAtMs);
    assert.ok(refused.kind === "refused");
    assert.match(refused.reason, reason);
  }
});

Deno.test("A key that was made a moment ago elsewhere opens a node that has not applied it yet", async () => {
  const late = access(Catalogue.empty(), () => Promise.resolve(catalogueWithKey(0)));
  assert.deepEqual(await admitClient(keyOf("k1", 7), late), WELCOME);
});

Deno.test("Without a quorum keys that are known open a node, and others are refused", async () => {
  const gone = () => Promise.reject(new UnavailableError("no_quorum", "no quorum answers"));
  assert.deepEqual(await admitClient(keyOf("k1", 7), access(catalogueWithKey(0), gone)), WELCOME);
  const unknown = await admitClient(keyOf("k2", 7), access(catalogueWithKey(0), gone));
  assert.equal(unknown.kind, "refused");
});

/** A catalogue that knows scopes, with keys `k0`, `k1`, … of secret 7. */
function catalogueOf(...keys: { readonly scopes: readonly Scope[]; readonly initial?: number }[]) {
  const catalogue = Catalogue.empty();
  const apply = (command: Parameters<typeof encodeCommand>[0]["command"]) =>
    catalogue.apply(catalogue.appliedIndex + 1, encodeCommand({ command, request: undefined }));
  apply({ kind: "raise_schema", schema: CATALOGUE_SCHEMA });
  const common = { secretHash: new Uint8Array(32).fill(7), label: "l", expiresAtMs: 0, atMs: 1 };
  keys.forEach(({ scopes, initial = 0 }, index) =>
    apply({ kind: "create_scoped_key", keyId: `k${index}`, scopes, initial, ...common })
  );
  return { catalogue, revoke: (keyId: string) => apply({ kind: "delete_api_key", keyId }) };
}

Deno.test("Keys that strangers make up take few reads of the log, and known ones none", async () => {
  const gate = Promise.withResolvers<Catalogue>();
  let reads = 0;
  const parts = access(catalogueWithKey(0), () => {
    reads++;
    return gate.promise;
  });
  const strangers = Array.from({ length: 100 }, () => admitClient(keyOf("k9", 7), parts));
  assert.deepEqual(await admitClient(keyOf("k1", 7), parts), WELCOME);
  assert.equal(reads, 16);
  gate.resolve(Catalogue.empty());
  for (const verdict of await Promise.all(strangers)) assert.equal(verdict.kind, "refused");
  await admitClient(keyOf("k9", 7), parts);
  assert.equal(reads, 17, "room again");
});

Deno.test("A key grants its scopes and no more, and is noted as used", async () => {
  const { catalogue } = catalogueOf({ scopes: ["use", "join"] });
  const used: string[] = [];
  const parts = {
    ...access(catalogue),
    noteUse: ({ keyId }: { keyId: string }) => used.push(keyId),
  };
  const judge = (key: string) => keyAccess({ ...parts, open: "auto" }).judge(key);
  assert.deepEqual(await judge(keyOf("k0", 7)), {
    kind: "granted",
    grant: { keyId: "k0", label: "l", scopes: ["use", "join"], limits: NO_LIMITS },
  });
  assert.equal((await judge(keyOf("k0", 8))).kind, "refused");
  assert.deepEqual(used, ["k0"], "a wrong secret is no use");
});

Deno.test("To private networks use is open until somebody made a key, and not again when it is revoked", () => {
  const open = (catalogue: Catalogue) =>
    keyAccess({ ...access(catalogue), open: "auto" }).openScopes("private");
  assert.deepEqual(open(Catalogue.empty()), ["use"]);
  const { catalogue, revoke } = catalogueOf({ scopes: ["admin"], initial: 1 });
  assert.deepEqual(open(catalogue), ["use"], "a first start made it by itself");
  const made = catalogueOf({ scopes: ["use"] });
  assert.deepEqual(open(made.catalogue), []);
  made.revoke("k0");
  assert.deepEqual(open(made.catalogue), []);
  revoke("k0");
  assert.deepEqual(open(catalogue), ["use"]);
  assert.deepEqual(open(catalogueWithKey(0)), [], "of a cluster that does not know scopes yet");
});

Deno.test("--open says what is open to private networks; public addresses get nothing without a key", () => {
  const { catalogue } = catalogueOf({ scopes: ["use"] });
  const scopes = { all: ["use", "models", "admin", "join"], use: ["use"], none: [], auto: [] };
  for (const open of ["all", "use", "none", "auto"] as const) {
    const granted = keyAccess({ ...access(catalogue), open });
    assert.deepEqual(granted.openScopes("private"), scopes[open]);
    assert.deepEqual(granted.openScopes("public"), []);
  }
});

Deno.test("tenantWeight() is what is said of the key, and 1 of all else", () => {
  const rows = new Map([["key_limits.k1", writeKeyLimits({ ...NO_LIMITS, weight: 7 })]]);
  const catalogue = {
    findSetting: (key: string) => {
      const value = rows.get(key);
      return value === undefined ? undefined : { key, value, revision: 1 };
    },
  };
  const weights = ["key k1", "key k2", "at 10.0.0.1", ""].map((tenant) =>
    tenantWeight(catalogue, tenant)
  );
  assert.deepEqual(weights, [7, 1, 1, 1]);
});
