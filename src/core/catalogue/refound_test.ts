import assert from "node:assert/strict";
import type { Digest, NodeId } from "../../base/mod.ts";
import {
  type CatalogueCommand,
  encodeCommand,
  encodeManifest,
  type ModelName,
  parseModelName,
} from "../../protocol/mod.ts";
import { Catalogue, refoundCatalogue } from "./mod.ts";

const NODE = "00000000000000aa" as NodeId;

function lived(): Catalogue {
  const catalogue = Catalogue.empty();
  const name = parseModelName("kept") as ModelName;
  const layer = {
    mediaType: "application/vnd.ollama.image.model",
    digest: `sha256:${"c".repeat(64)}` as Digest,
    size: 7,
  };
  const manifest = encodeManifest({
    schemaVersion: 2,
    mediaType: "m",
    config: layer,
    layers: [layer],
  });
  const hash = new Uint8Array(32).fill(1);
  const commands: CatalogueCommand[] = [
    {
      kind: "admit_member",
      nodeId: NODE,
      publicKey: new Uint8Array(40),
      label: "a",
      tokenId: undefined,
      atMs: 1,
    },
    { kind: "set_voters", voters: [NODE], expected: undefined },
    { kind: "put_model", name, manifest, atMs: 5, expected: undefined },
    { kind: "pin_model", name, nodeId: NODE },
    { kind: "set_replicas", name, replicas: 3, expected: undefined },
    { kind: "create_token", tokenId: "t", verifier: hash, expiresAtMs: 9, uses: 1 },
    {
      kind: "create_api_key",
      keyId: "k",
      secretHash: hash,
      label: "l",
      expiresAtMs: 0,
      atMs: 1,
    },
    { kind: "put_setting", key: "kept", value: "v", expected: undefined },
    { kind: "put_setting", key: `drain.${NODE}`, value: "1", expected: undefined },
    { kind: "put_setting", key: `hardware.${NODE}`, value: "1", expected: undefined },
    {
      kind: "quarantine_blob",
      digest: layer.digest,
      nodeId: NODE,
      reason: "r",
      atMs: 1,
    },
  ];
  for (const command of commands) {
    const applied = catalogue.apply(
      catalogue.appliedIndex + 1,
      encodeCommand({ command, request: undefined }),
    );
    assert.ok(applied.kind === "answered" && applied.outcome.kind === "applied");
  }
  return catalogue;
}

Deno.test("refoundCatalogue() keeps what belongs to nobody and drops what names machines", () => {
  const refounded = refoundCatalogue(lived().snapshot());
  assert.ok(refounded.kind === "decoded");
  const restored = Catalogue.restore(refounded.value);
  assert.ok(restored.kind === "decoded");
  const catalogue = restored.value;

  assert.equal(catalogue.appliedIndex, 1);
  assert.deepEqual(
    catalogue.models().map(({ name, replicas, pins, revision }) => ({
      model: name.model,
      replicas,
      pins,
      revision,
    })),
    [{ model: "kept", replicas: 3, pins: [], revision: 1 }],
  );
  assert.deepEqual(catalogue.settings().map(({ key, revision }) => ({ key, revision })), [
    { key: "kept", revision: 1 },
  ]);
  assert.equal(catalogue.apiKeys().length, 1);
  assert.equal(catalogue.quarantine().length, 1);
  assert.deepEqual(catalogue.members(), []);
  assert.deepEqual(catalogue.tokens(), []);
  assert.deepEqual(catalogue.voters().voters, []);
});

Deno.test("refoundCatalogue() says what is wrong with a damaged snapshot", () => {
  const bytes = lived().snapshot();
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  assert.deepEqual(refoundCatalogue(bytes).kind, "malformed");
});
