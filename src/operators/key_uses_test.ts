import assert from "node:assert/strict";
import { UnavailableError } from "../base/mod.ts";
import { Catalogue, type Outcome } from "../core/catalogue/mod.ts";
import { CATALOGUE_SCHEMA, type CatalogueCommand, encodeCommand, SCOPES } from "../protocol/mod.ts";
import { KeyUses } from "./key_uses.ts";

const HOUR_MS = 3_600_000;

function scene(options: { readonly schema?: number } = {}) {
  const catalogue = Catalogue.empty();
  const proposed: CatalogueCommand[] = [];
  const state = { nowMs: 10 * HOUR_MS, hasQuorum: true };
  const apply = (command: CatalogueCommand): Outcome => {
    const bytes = encodeCommand({ command, request: undefined });
    const applied = catalogue.apply(catalogue.appliedIndex + 1, bytes);
    assert.ok(applied.kind === "answered");
    return applied.outcome;
  };
  const { schema = CATALOGUE_SCHEMA } = options;
  if (schema > 1) apply({ kind: "raise_schema", schema });
  for (let key = 0; key < 20; key++) {
    const times = { expiresAtMs: 0, atMs: 1, initial: 0 };
    const secret = { keyId: `k${key}`, secretHash: new Uint8Array(32), label: "" };
    apply({ kind: "create_scoped_key", ...secret, scopes: SCOPES, ...times });
  }
  const uses = new KeyUses({
    group: () => ({
      catalogue,
      propose: (command) => {
        proposed.push(command);
        if (!state.hasQuorum) return Promise.reject(new UnavailableError("no_quorum", "none"));
        return Promise.resolve(apply(command));
      },
    }),
    clock: { nowMs: () => state.nowMs },
  });
  const use = async (keyId: string) => {
    uses.note(catalogue.findApiKey(keyId) ?? { keyId, lastUsedAtMs: 0 });
    await Promise.resolve();
  };
  return { catalogue, proposed, state, use };
}

Deno.test("a key's use is written down once an hour, however busy it is", async () => {
  const { catalogue, proposed, state, use } = scene();
  for (let second = 0; second < 3 * 3_600; second++) {
    await use("k1");
    state.nowMs += 1_000;
  }
  assert.equal(proposed.length, 3);
  const lastUsedMs = catalogue.findApiKey("k1")?.lastUsedAtMs ?? 0;
  assert.ok(state.nowMs - lastUsedMs <= HOUR_MS);
  assert.equal(catalogue.findApiKey("k2")?.lastUsedAtMs, 0);
});

Deno.test("without a quorum a key's use is tried once a minute, and not lost in the end", async () => {
  const { catalogue, proposed, state, use } = scene();
  state.hasQuorum = false;
  for (let second = 0; second < 120; second++) {
    await use("k1");
    state.nowMs += 1_000;
  }
  assert.equal(proposed.length, 2);
  state.hasQuorum = true;
  await use("k1");
  assert.equal(catalogue.findApiKey("k1")?.lastUsedAtMs, state.nowMs);
});

Deno.test("only so many uses are written down at once, and none where members can't read them", async () => {
  const many = scene();
  many.state.hasQuorum = false;
  const { proposed } = many;
  // All in one turn: none is answered before the last is noted.
  for (let key = 0; key < 20; key++) void many.use(`k${key}`);
  assert.equal(proposed.length, 16);
  await Promise.resolve();
  const old = scene({ schema: 1 });
  await old.use("k1");
  assert.equal(old.proposed.length, 0);
});
