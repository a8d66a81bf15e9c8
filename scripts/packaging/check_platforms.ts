/**
 * Checks llama.cpp's prebuilt libraries of all platforms, as far as that goes without running them: that each file is the one
 * whose SHA-256 stands in the source, is made for the machine that its package names, and offers every function that is
 * called of it. Struct layouts are checked by whoever opens a library; `check_arm64.ts` does so for linux-arm64. Downloads
 * about 350 MB, once.
 *
 * Usage: `deno run -A --no-lock scripts/packaging/check_platforms.ts [PACKAGE ...]`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { packageDigests, packageFolder } from "../../src/inference/launch/mod.ts";
import { GGML_BASE_SYMBOLS, GGML_SYMBOLS, LLAMA_SYMBOLS } from "../../src/inference/llama/abi.ts";
import { planNames } from "../../src/inference/llama/memory_plan.ts";
import { readExportedSymbols } from "./exported_symbols.ts";

/** CUDA's packages hold the same libraries and one of 190 MB that nothing here calls. */
const PACKAGES = [
  "linux-arm64",
  "linux-x64",
  "linux-x64-vulkan",
  "mac-arm64-metal",
  "mac-x64",
  "win-arm64",
  "win-x64",
  "win-x64-vulkan",
];
const SYSTEMS: Readonly<Record<string, "linux" | "darwin" | "windows">> = {
  linux: "linux",
  mac: "darwin",
  win: "windows",
};

/** What is wrong with a package's files; empty = nothing. */
export function judgePackage(
  name: string,
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
): readonly string[] {
  const digests = packageDigests(name) ?? {};
  const findings = Object.entries(digests).flatMap(([file, digest]) => {
    const bytes = files.get(file);
    if (bytes === undefined) return [`${name}: ${file} is missing`];
    const found = createHash("sha256").update(bytes).digest("hex");
    return found === digest ? [] : [`${name}: the SHA-256 of ${file} is ${found}`];
  });
  return [...findings, ...judgeSymbols(name, files)];
}

function judgeSymbols(
  name: string,
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
): readonly string[] {
  const [system = "", machine = ""] = name.split("-");
  const { fit, measure } = planNames(SYSTEMS[system] ?? "linux");
  const wanted: Readonly<Record<string, readonly string[]>> = {
    llama: namesIn(LLAMA_SYMBOLS),
    ggml: namesIn(GGML_SYMBOLS),
    "ggml-base": namesIn(GGML_BASE_SYMBOLS),
    "llama-common": [fit, measure],
  };
  return Object.entries(wanted).flatMap(([library, symbols]) => {
    const pattern = new RegExp(`^(lib)?${library}(\\.[a-z]+)?(\\.v[0-9.]+)?\\.(so|dylib|dll)$`);
    const [file, ...others] = [...files.keys()].filter((one) => pattern.test(one));
    const bytes = files.get(file ?? "");
    if (bytes === undefined || others.length > 0) return [`${name}: there is not one ${library}`];
    const found = readExportedSymbols(bytes);
    const strange = found.machine === machine ? [] : [`${name}: ${file} is for ${found.machine}`];
    const missing = symbols.filter((symbol) => !found.names.has(symbol))
      .map((symbol) => `${name}: ${file} lacks ${symbol}`);
    return [...strange, ...missing];
  });
}

function namesIn(symbols: Deno.ForeignLibraryInterface): readonly string[] {
  return Object.entries(symbols).map(([key, symbol]) => symbol.name ?? key);
}

async function readFiles(folder: string) {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for await (const { name } of Deno.readDir(folder)) {
    files.set(name, await Deno.readFile(`${folder}/${name}`));
  }
  return files;
}

if (import.meta.main) {
  const findings: string[] = [];
  for (const name of Deno.args.length > 0 ? Deno.args : PACKAGES) {
    const found = judgePackage(name, await readFiles(await packageFolder(name)));
    console.log(`${name}: ${found.length === 0 ? "as wanted" : `${found.length} findings`}`);
    findings.push(...found);
  }
  for (const finding of findings) console.error(finding);
  Deno.exit(findings.length === 0 ? 0 : 1);
}
