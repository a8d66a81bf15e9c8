import assert from "node:assert/strict";
import { encodeManifest, MANIFEST_BYTES_MAX, parseManifest } from "./mod.ts";

const HEX = "ab".repeat(32);
const LAYER = { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${HEX}`, size: 5 };
const CONFIG = {
  mediaType: "application/vnd.docker.container.image.v1+json",
  digest: `sha256:${HEX}`,
  size: 2,
};

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

Deno.test("parseManifest() and encodeManifest() agree", () => {
  const bytes = bytesOf({
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: CONFIG,
    layers: [{ ...LAYER, from: "base:tag" }],
  });
  const manifest = parseManifest(bytes);
  assert.ok(manifest);
  assert.equal(manifest.layers[0]?.from, "base:tag");
  assert.deepEqual(encodeManifest(manifest), bytes);
});

Deno.test("parseManifest() ignores fields it does not know", () => {
  assert.ok(parseManifest(bytesOf({ schemaVersion: 2, config: CONFIG, layers: [], extra: [1] })));
});

Deno.test("parseManifest() refuses what is no manifest", () => {
  const bad: unknown[] = [null, 7, [], {}, { layers: [] }, { config: { ...CONFIG, size: -1 } }];
  bad.push({ config: CONFIG, layers: {} }, { config: CONFIG, layers: [null] });
  bad.push({ config: CONFIG, layers: [{ ...LAYER, digest: "sha256:../../x" }] });
  bad.push({ config: CONFIG, layers: [{ ...LAYER, size: 1.5 }] });
  for (const value of bad) assert.equal(parseManifest(bytesOf(value)), undefined);
  assert.equal(parseManifest(new Uint8Array([0xff, 0xfe])), undefined);
  assert.equal(parseManifest(new Uint8Array(MANIFEST_BYTES_MAX + 1)), undefined);
});
