import assert from "node:assert/strict";
import {
  CATALOGUE_SCHEMA,
  type CatalogueCommand,
  type ChangeOrigin,
  decodeCommand,
  encodeCommand,
  parseModelName,
  SCOPES,
} from "../../protocol/mod.ts";
import { Catalogue, refoundCatalogue } from "./mod.ts";
import { AUDIT_ROWS_MAX } from "./rows.ts";

const HASH = new Uint8Array(32).fill(1);
const ORIGIN: ChangeOrigin = { who: "key ab12 laptop", from: "192.168.1.20", atMs: 9 };
const RAISE: CatalogueCommand = { kind: "raise_schema", schema: CATALOGUE_SCHEMA };

/** Written by a program of schema 1: a key `k-1`, labelled "laptop", and a setting. */
const SNAPSHOT_OF_SCHEMA_1 = "6f6469737463617401010200000000000001036b2d3120" +
  "0101010101010101010101010101010101010101010101010101010101010101" +
  "066c6170746f700007010103612e6201310200004b7bee9e0f28bb2d6844ee09737f217c6f8e02bb891f6179d207652ac265e97d";

function apply(
  catalogue: Catalogue,
  command: CatalogueCommand,
  origin?: ChangeOrigin,
): string {
  const stamped = { command, request: undefined, ...(origin && { origin }) };
  const applied = catalogue.apply(catalogue.appliedIndex + 1, encodeCommand(stamped));
  assert.ok(applied.kind === "answered");
  return applied.outcome.kind === "applied" ? "applied" : applied.outcome.reason;
}

function scoped(keyId: string, options: { readonly initial?: number } = {}): CatalogueCommand {
  const { initial = 0 } = options;
  const common = { keyId, secretHash: HASH, label: "laptop", expiresAtMs: 0, atMs: 5, initial };
  return { kind: "create_scoped_key", ...common, scopes: ["use", "models"] };
}

function old(keyId: string): CatalogueCommand {
  const common = { keyId, secretHash: HASH, label: "", expiresAtMs: 0, atMs: 5 };
  return { kind: "create_api_key", ...common };
}

function raised(): Catalogue {
  const catalogue = Catalogue.empty();
  assert.equal(apply(catalogue, RAISE), "applied");
  return catalogue;
}

function reread(catalogue: Catalogue): Catalogue {
  const restored = Catalogue.restore(catalogue.snapshot());
  assert.ok(restored.kind === "decoded");
  assert.equal(restored.value.stateHash(), catalogue.stateHash());
  return restored.value;
}

Deno.test("a key keeps its scopes and when it was last used, through a snapshot", () => {
  const catalogue = raised();
  assert.equal(apply(catalogue, scoped("k-1")), "applied");
  assert.equal(apply(catalogue, { kind: "note_key_use", keyId: "k-1", atMs: 100 }), "applied");
  // A node whose clock is behind.
  assert.equal(apply(catalogue, { kind: "note_key_use", keyId: "k-1", atMs: 90 }), "applied");
  assert.equal(apply(catalogue, { kind: "note_key_use", keyId: "none", atMs: 1 }), "not_found");
  const row = reread(catalogue).findApiKey("k-1");
  assert.deepEqual(row?.scopes, ["use", "models"]);
  assert.equal(row?.lastUsedAtMs, 100);
});

Deno.test("what needs the newer schema is refused until every member knows it", () => {
  const catalogue = Catalogue.empty();
  assert.equal(apply(catalogue, scoped("k-1")), "schema_not_active");
  const setting = { kind: "put_setting", key: "a.b", value: "1", expected: undefined } as const;
  assert.equal(apply(catalogue, setting, ORIGIN), "schema_not_active");
  assert.equal(apply(catalogue, setting), "applied");
  apply(catalogue, RAISE);
  assert.equal(apply(catalogue, scoped("k-1")), "applied");
  assert.equal(apply(catalogue, setting, ORIGIN), "applied");
});

Deno.test("once somebody made a key, revoking the last one opens nothing", () => {
  const catalogue = raised();
  assert.ok(!catalogue.wantsKeys && catalogue.neverHadKeys);
  for (const create of [scoped("k-1"), old("k-2")]) {
    apply(catalogue, create);
    assert.ok(catalogue.wantsKeys);
  }
  for (const keyId of ["k-1", "k-2"]) apply(catalogue, { kind: "delete_api_key", keyId });
  assert.equal(catalogue.apiKeys().length, 0);
  assert.ok(catalogue.wantsKeys && reread(catalogue).wantsKeys);
  const founded = refoundCatalogue(catalogue.snapshot());
  assert.ok(founded.kind === "decoded");
  const again = Catalogue.restore(founded.value);
  assert.ok(again.kind === "decoded" && again.value.wantsKeys);
});

Deno.test("the key of a first start is made once, and closes nothing", () => {
  const catalogue = raised();
  assert.equal(apply(catalogue, scoped("k-1", { initial: 1 })), "applied");
  assert.ok(!catalogue.wantsKeys && !catalogue.neverHadKeys);
  assert.equal(apply(catalogue, scoped("k-2", { initial: 1 })), "already_exists");
  apply(catalogue, { kind: "delete_api_key", keyId: "k-1" });
  assert.equal(apply(catalogue, scoped("k-3", { initial: 1 })), "already_exists");
  assert.ok(!reread(catalogue).wantsKeys);
});

Deno.test("a snapshot of schema 1 is read: its keys may do everything, and go on being wanted", () => {
  const restored = Catalogue.restore(Uint8Array.fromHex(SNAPSHOT_OF_SCHEMA_1));
  assert.ok(restored.kind === "decoded");
  const catalogue = restored.value;
  assert.equal(catalogue.schema, 1);
  assert.equal(catalogue.snapshot().toHex(), SNAPSHOT_OF_SCHEMA_1, "until it is raised");
  const row = catalogue.findApiKey("k-1");
  assert.deepEqual(row?.scopes, SCOPES);
  assert.equal(row?.label, "laptop");
  assert.ok(catalogue.wantsKeys);
  apply(catalogue, RAISE);
  apply(catalogue, { kind: "delete_api_key", keyId: "k-1" });
  assert.ok(reread(catalogue).wantsKeys);
});

Deno.test("a change is kept with who made it, a refused or unasked one is not", () => {
  const catalogue = raised();
  const name = parseModelName("llama3:8b") ?? assert.fail();
  apply(catalogue, scoped("k-1"), ORIGIN);
  assert.equal(
    apply(catalogue, { kind: "delete_model", name, expected: undefined }, ORIGIN),
    "not_found",
  );
  apply(catalogue, { kind: "put_setting", key: "a.b", value: "secret", expected: undefined });
  apply(catalogue, { kind: "delete_api_key", keyId: "k-1" }, { ...ORIGIN, from: "" });
  assert.deepEqual(reread(catalogue).audit(), [
    { index: 2, ...ORIGIN, action: "create_scoped_key", subject: "k-1 laptop" },
    { index: 5, ...ORIGIN, from: "", action: "delete_api_key", subject: "k-1 laptop" },
  ]);
});

Deno.test("the list of changes is bounded, and the oldest makes room", () => {
  const catalogue = raised();
  for (let turn = 0; turn < AUDIT_ROWS_MAX + 5; turn++) {
    const value = String(turn);
    apply(catalogue, { kind: "put_setting", key: "a.b", value, expected: undefined }, ORIGIN);
  }
  const rows = reread(catalogue).audit();
  assert.equal(rows.length, AUDIT_ROWS_MAX);
  assert.equal(rows[0]?.index, 2 + 5);
  assert.equal(rows.at(-1)?.index, catalogue.appliedIndex);
});

Deno.test("a command has one encoding, whether or not it says who had it made", () => {
  const command: CatalogueCommand = { kind: "delete_api_key", keyId: "k-1" };
  const bytes = encodeCommand({ command, request: undefined, origin: ORIGIN });
  assert.deepEqual(decodeCommand(bytes), {
    kind: "decoded",
    value: { command, request: undefined, origin: ORIGIN },
  });
  const older = encodeCommand({ command, request: undefined });
  assert.equal(older[0], 1, "as schema 1 wrote it");
  // The newer form without an origin would be a second way to write the same.
  const doubled = Uint8Array.from([2, ...older.slice(1)]);
  assert.equal(decodeCommand(doubled).kind, "malformed");
});
