import assert from "node:assert/strict";
import { nativePackage, packageFolder } from "../../src/inference/launch/mod.ts";
import { judgePackage } from "./check_platforms.ts";
import { readExportedSymbols } from "./exported_symbols.ts";

async function ownFiles() {
  const name = nativePackage();
  const folder = await packageFolder(name);
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name: file } of Deno.readDirSync(folder)) {
    files.set(file, await Deno.readFile(`${folder}/${file}`));
  }
  return { name, files };
}

/** Writes another name over one in a library's tables. */
function rename(bytes: Uint8Array<ArrayBuffer>, from: string, to: string): Uint8Array<ArrayBuffer> {
  const wanted = new TextEncoder().encode(`${from}\0`);
  const changed = bytes.slice();
  for (
    let at = changed.indexOf(wanted[0] ?? 0);
    at >= 0;
    at = changed.indexOf(wanted[0] ?? 0, at + 1)
  ) {
    if (wanted.every((byte, offset) => changed[at + offset] === byte)) {
      changed.set(new TextEncoder().encode(to), at);
    }
  }
  return changed;
}

Deno.test("judgePackage() finds nothing in the libraries of this platform, and each fault planted there", async () => {
  const { name, files } = await ownFiles();
  assert.deepEqual(judgePackage(name, files), []);
  const [file = "", bytes = new Uint8Array(0)] =
    [...files].find(([one]) => /^(lib)?llama\.(?!so)/.test(one)) ?? [];
  const changed = rename(bytes, "llama_n_ctx_seq", "llama_n_ctx_sex");
  const findings = judgePackage(name, new Map([...files, [file, changed]]));
  assert.equal(findings.length, 2, findings.join("\n"));
  assert.match(findings[0] ?? "", /the SHA-256 of .* is /);
  assert.match(findings[1] ?? "", /lacks llama_n_ctx_seq$/);
  const without = new Map([...files].filter(([one]) => one !== file));
  assert.match(judgePackage(name, without).join(), /is missing.*there is not one llama/);
  // As one made for other machines would say.
  const machine = name.includes("arm64") ? "linux-x64" : "linux-arm64";
  assert.match(judgePackage(machine, files).join(), /is for (x64|arm64)/);
});

Deno.test("readExportedSymbols() takes no library cut short, and nothing else, for one", async () => {
  const { files } = await ownFiles();
  const [, bytes = new Uint8Array(0)] = [...files].find(([one]) => /ggml-base/.test(one)) ?? [];
  assert.ok(readExportedSymbols(bytes).names.has("ggml_backend_dev_type"));
  assert.throws(() => readExportedSymbols(bytes.slice(0, bytes.length >> 1)), RangeError);
  assert.throws(() => readExportedSymbols(new Uint8Array(100)), RangeError);
});
