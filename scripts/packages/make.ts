/**
 * Makes a release of what was built: packages, manifests, installers, the bill of materials, and the sums of all of it.
 *
 * Usage: `deno task packages [--from FOLDER] [--out FOLDER]`. FROM holds `odist-OS-ARCH` of each system, or the `odist` that
 * `deno task build` makes of this one (default: `dist`).
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { renderBill } from "./bill.ts";
import { DESCRIPTION } from "./description.ts";
import { DEPLOY_FOLDER, findStale } from "./generate.ts";
import { renderManifests } from "./manifests.ts";
import { type Program, renderRelease, renderSums, takePrograms } from "./release_files.ts";
import { makeDeb, makeRpm, type PackageTexts } from "./system_packages.ts";
import { hasTool, runTool } from "./tools.ts";

const ROOT = dirname(DEPLOY_FOLDER);

/** Makes a release in `out`, which must not be there; what can't be made here is said. */
export async function makeRelease(
  places: { readonly from: string; readonly out: string },
  say: (line: string) => void,
): Promise<void> {
  const stale = findStale(DEPLOY_FOLDER);
  if (stale.length > 0) {
    throw new Error(`deploy/${stale[0]} is stale: run scripts/packages/generate.ts`);
  }
  const { from, out } = places;
  await Deno.mkdir(out, { recursive: true });
  const programs = await takePrograms(from, out);
  const texts = await readTexts();
  const madeAt = new Date(texts.builtAtS * 1_000).toISOString();
  await write(out, "release.json", renderRelease(DESCRIPTION.version, programs));
  await write(out, "odist.cdx.json", await renderBill(ROOT, programs, madeAt));
  for (const [name, text] of renderManifests(programs)) await write(out, name, text);
  for (const name of ["install.sh", "install.ps1"]) {
    await Deno.copyFile(join(DEPLOY_FOLDER, name), join(out, name));
  }
  await makeSystemPackages(programs, texts, { out, say });
  if (hasTool("helm")) {
    await runTool(["helm", "package", join(DEPLOY_FOLDER, "helm/odist"), "--destination", out]);
  } else say("no chart: there is no helm here");
  await write(out, "SHA256SUMS", await renderSums(out));
  for (const name of [...Deno.readDirSync(out)].map((entry) => entry.name).sort()) say(name);
}

async function makeSystemPackages(
  programs: readonly Program[],
  texts: PackageTexts,
  { out, say }: { readonly out: string; readonly say: (line: string) => void },
): Promise<void> {
  for (const [tool, make] of [["dpkg-deb", makeDeb], ["rpmbuild", makeRpm]] as const) {
    if (!hasTool(tool)) {
      say(`no package by ${tool}: it is not here`);
      continue;
    }
    for (const program of programs) {
      if (program.os === "linux") await make(program, texts, out);
    }
  }
}

async function readTexts(): Promise<PackageTexts> {
  const completion = (shell: string) =>
    runTool([Deno.execPath(), "run", "-A", "--unstable-net", "main.ts", "completions", shell], {
      cwd: ROOT,
    });
  const [bash, zsh, fish] = await Promise.all([
    ...[completion("bash"), completion("zsh"), completion("fish")],
  ]);
  return {
    completions: { bash: bash ?? "", zsh: zsh ?? "", fish: fish ?? "" },
    changelog: await Deno.readTextFile(join(ROOT, "CHANGELOG.md")),
    license: await Deno.readTextFile(join(ROOT, "LICENSE")),
    builtAtS: await commitTime(),
  };
}

/** What is made of one commit is the same whenever it is made; outside a repository it is of now. */
async function commitTime(): Promise<number> {
  const named = Deno.env.get("SOURCE_DATE_EPOCH");
  if (named) return Number(named);
  if (!hasTool("git")) return Math.floor(Date.now() / 1_000);
  return Number(await runTool(["git", "log", "-1", "--format=%ct"], { cwd: ROOT }));
}

function write(folder: string, name: string, text: string): Promise<void> {
  return Deno.writeTextFile(join(folder, name), text);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: { from: { type: "string" }, out: { type: "string" } },
  });
  const from = resolve(values.from ?? join(ROOT, "dist"));
  const out = resolve(values.out ?? join(ROOT, "dist/release"));
  await Deno.remove(out, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await makeRelease({ from, out }, (line) => console.log(line));
}
