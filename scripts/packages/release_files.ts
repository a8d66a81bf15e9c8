/**
 * The files of a release, and what it says of them: `release.json`, which `odist upgrade` reads, and `SHA256SUMS`, which installers
 * read.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Platform, PLATFORMS } from "./description.ts";

/** A program that was built, under its name in the release. */
export interface Program extends Platform {
  readonly path: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

/**
 * Links what was built into the release's folder. `odist` (`odist.exe`), as `deno task build` makes it, is this machine's.
 *
 * @throws Error where there is no program at all.
 */
export async function takePrograms(from: string, out: string): Promise<Program[]> {
  const programs: Program[] = [];
  for (const platform of PLATFORMS) {
    const source = findProgram(from, platform);
    if (source === undefined) continue;
    const path = join(out, platform.file);
    await Deno.copyFile(source, path);
    if (Deno.build.os !== "windows") await Deno.chmod(path, 0o755);
    const { size } = await Deno.stat(path);
    programs.push({ ...platform, path, bytes: size, sha256: await sha256Of(path) });
  }
  if (programs.length > 0) return programs;
  throw new Error(`Cannot package "${from}": wanted ${PLATFORMS[0]?.file} or its like, or odist`);
}

function findProgram(from: string, { file, os, arch }: Platform): string | undefined {
  const isThis = os === Deno.build.os && arch === Deno.build.arch;
  const own = isThis ? [`odist${os === "windows" ? ".exe" : ""}`] : [];
  return [file, ...own].map((name) => join(from, name)).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/** What `odist upgrade` reads. */
export function renderRelease(version: string, programs: readonly Program[]): string {
  const files = programs.map(({ file, os, arch, bytes, sha256 }) => ({
    ...{ name: file, os, arch, bytes, sha256 },
  }));
  return `${JSON.stringify({ version, files }, null, 2)}\n`;
}

/** Of every file in the folder, as `sha256sum --check` reads it. */
export async function renderSums(folder: string): Promise<string> {
  const names = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile)
    .map(({ name }) => name).filter((name) => name !== "SHA256SUMS").sort();
  const rows = names.map(async (name) => `${await sha256Of(join(folder, name))}  ${name}\n`);
  return (await Promise.all(rows)).join("");
}
