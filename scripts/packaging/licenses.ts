/**
 * The licences of odist and of everything packed with it.
 *
 * @module
 */
import { join } from "node:path";
import { PAGE_SCRIPTS } from "./page.ts";
import { runDeno } from "./run_deno.ts";
import type { TarFile } from "./tar.ts";

/** What is packed without being an npm package that the program imports. */
const OTHERS: Readonly<Record<string, string>> = {
  "deno": mitLicense("2018-2026 the Deno authors"),
  "llama.cpp": mitLicense("2023-2026 The ggml authors"),
  "node-llama-cpp": mitLicense("2023 Gilad S."),
};

/** One file per package under `licenses/`; throws Error for a package whose licence can't be found. */
export async function readLicenses(root: string): Promise<TarFile[]> {
  const texts = new Map<string, string>(Object.entries(OTHERS));
  texts.set("odist", await Deno.readTextFile(join(root, "LICENSE")));
  for (const { name, localPath } of await findPackages(root)) {
    texts.set(name.replaceAll("/", "_"), await readLicense(localPath));
    if (name !== COMPILED.package) continue;
    texts.set(COMPILED.from, await Deno.readTextFile(join(localPath, COMPILED.path)));
  }
  return [...texts].map(([name, text]) => ({
    path: `licenses/${name}.txt`,
    bytes: new TextEncoder().encode(text),
    executable: false,
  }));
}

/** A package as `deno info` tells of it. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly dependencies: readonly string[];
  readonly localPath: string;
}

/** What `deno info --json` tells, as far as it is read. */
interface ProgramGraph {
  readonly modules: readonly { readonly npmPackage?: string }[];
  /** Of the whole lock file: what only tests use is among them, and is not packed. */
  readonly npmPackages: Readonly<Record<string, NpmPackage>>;
}

/** What is packed is made of these. */
const ENTRIES = ["main.ts", "src/inference/webp/main.ts", ...Object.values(PAGE_SCRIPTS)];
/** What a package was compiled from has a licence of its own. */
const COMPILED = { package: "@jsquash/webp", from: "libwebp", path: "codec/LICENSE.codec.md" };

/** The packages that the program and its page reach, and theirs. */
export async function findPackages(root: string): Promise<NpmPackage[]> {
  const found = new Map<string, NpmPackage>();
  for (const entry of ENTRIES) await addPackages(root, entry, found);
  return [...found.values()];
}

async function addPackages(
  root: string,
  entry: string,
  found: Map<string, NpmPackage>,
): Promise<void> {
  const graph: ProgramGraph = JSON.parse(await runDeno(root, ["info", "--json", entry]));
  const open = graph.modules.flatMap(({ npmPackage }) => npmPackage ?? []);
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    const one = graph.npmPackages[key];
    if (one === undefined || found.has(key)) continue;
    found.set(key, one);
    open.push(...one.dependencies);
  }
}

async function readLicense(folder: string): Promise<string> {
  for await (const entry of Deno.readDir(folder)) {
    if (/^licen[sc]e/i.test(entry.name)) return await Deno.readTextFile(join(folder, entry.name));
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
