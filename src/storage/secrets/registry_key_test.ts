import assert from "node:assert/strict";
import { join } from "node:path";
import { openRegistryKey } from "../mod.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-key-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openRegistryKey() makes a key once and signs with it for good", () =>
  withFolder(async (folder) => {
    const path = join(folder, "below", "id_ed25519");
    const first = openRegistryKey(path);
    const publicKey = await first.publicKey();
    const signature = await first.sign("hello");
    assert.equal(await openRegistryKey(path).publicKey(), publicKey);
    assert.equal(await openRegistryKey(path).sign("hello"), signature);

    const bytes = Uint8Array.from(atob(publicKey), (character) => character.charCodeAt(0));
    const key = await crypto.subtle.importKey("raw", bytes.slice(-32), "Ed25519", false, [
      "verify",
    ]);
    const signed = Uint8Array.from(atob(signature), (character) => character.charCodeAt(0));
    assert.ok(
      await crypto.subtle.verify("Ed25519", key, signed, new TextEncoder().encode("hello")),
    );
    assert.equal(await Deno.readTextFile(`${path}.pub`), `ssh-ed25519 ${publicKey}\n`);
    if (Deno.build.os !== "windows") {
      assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    }
  }));

Deno.test("openRegistryKey() refuses what is no key and leaves it there", () =>
  withFolder(async (folder) => {
    const path = join(folder, "id_ed25519");
    await Deno.writeTextFile(path, "no key");
    await assert.rejects(openRegistryKey(path).sign("x"), { code: "corrupt_file" });
    assert.equal(await Deno.readTextFile(path), "no key");
  }));
