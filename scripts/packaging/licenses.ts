/**
 * The licences of odist and of everything packed with it.
 *
 * @module
 */
import { join } from "node:path";
import { runDeno } from "./run_deno.ts";
import type { TarFile } from "./tar.ts";

/** What is packed without being an npm package that `deno.lock` names. */
const OTHERS: Readonly<Record<string, string>> = {
  "deno": mitLicense("2018-2026 the Deno authors"),
  "llama.cpp": mitLicense("2023-2026 The ggml authors"),
  "node-llama-cpp": mitLicense("2023 Gilad S."),
};

/** One file per package under `licenses/`; throws Error for a package whose licence can't be found. */
export async function readLicenses(root: string): Promise<TarFile[]> {
  const texts = new Map<string, string>(Object.entries(OTHERS));
  texts.set("odist", await Deno.readTextFile(join(root, "LICENSE")));
  const cache = await findNpmCache(root);
  const lock: { npm: Record<string, unknown> } = JSON.parse(
    await Deno.readTextFile(join(root, "deno.lock")),
  );
  for (const key of Object.keys(lock.npm)) {
    const at = key.indexOf("@", 1);
    const name = key.slice(0, at);
    const version = key.slice(at + 1).split("_")[0] ?? "";
    const text = await findLicense(join(cache, name, version));
    if (text !== undefined) texts.set(name.replaceAll("/", "_"), text);
  }
  return [...texts].map(([name, text]) => ({
    path: `licenses/${name}.txt`,
    bytes: new TextEncoder().encode(text),
    executable: false,
  }));
}

async function findNpmCache(root: string): Promise<string> {
  const info: { npmCache: string } = JSON.parse(await runDeno(root, ["info", "--json"]));
  // One folder per registry; the name of the registry is the machine's own matter.
  for await (const entry of Deno.readDir(info.npmCache)) {
    if (entry.isDirectory) return join(info.npmCache, entry.name);
  }
  throw new Error(`Cannot find npm packages: "${info.npmCache}" is empty`);
}

/** Undefined when the package was never fetched, so can't have been packed. */
async function findLicense(folder: string): Promise<string | undefined> {
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (/^licen[sc]e/i.test(entry.name)) return await Deno.readTextFile(join(folder, entry.name));
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  throw new Error(`Cannot pack "${folder}": it has no licence file`);
}

function mitLicense(holder: string): string {
  return `MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;
}
