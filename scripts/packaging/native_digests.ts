/**
 * Writes the SHA-256 of each of llama.cpp's libraries, on every platform, from the npm packages of the pinned release: once
 * when the release changes, by someone who looks at what came. Downloads about 700 MB.
 *
 * Usage: `deno run -A --no-lock scripts/packaging/native_digests.ts`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { packageFolder } from "../../src/inference/launch/mod.ts";

const PACKAGES = [
  "linux-arm64",
  "linux-x64",
  "linux-x64-cuda",
  "linux-x64-vulkan",
  "mac-arm64-metal",
  "mac-x64",
  "win-arm64",
  "win-x64",
  "win-x64-cuda",
  "win-x64-vulkan",
];
const TABLE = new URL("../../src/inference/launch/native_digests.json", import.meta.url);

async function digestsOf(folder: string): Promise<Record<string, string>> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const digests: Record<string, string> = {};
  for (const name of names) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    digests[name] = createHash("sha256").update(bytes).digest("hex");
  }
  return digests;
}

if (import.meta.main) {
  const table: Record<string, Record<string, string>> = {};
  for (const name of PACKAGES) table[name] = await digestsOf(await packageFolder(name));
  await Deno.writeTextFile(TABLE, JSON.stringify(table, null, 2) + "\n");
}
