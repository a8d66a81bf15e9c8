/**
 * Runs inside the unpacked archive, by the Deno that came with it: verifies every file against the manifest, marks the
 * folder complete and renames it into place.
 *
 * Usage: `deno run install.ts UNPACKED_FOLDER FINAL_FOLDER`.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** What the archive must hold, besides the manifest itself. */
interface PayloadManifest {
  readonly files: readonly {
    readonly path: string;
    readonly bytes: number;
    /** SHA-256 in hex. */
    readonly digest: string;
  }[];
}

/** The first file that is missing or differs, or undefined. */
function findDamage(folder: string): string | undefined {
  const manifest: PayloadManifest = JSON.parse(Deno.readTextFileSync(`${folder}/manifest.json`));
  return manifest.files.find((file) => !isSound(`${folder}/${file.path}`, file.digest))?.path;
}

function isSound(path: string, digest: string): boolean {
  try {
    return createHash("sha256").update(Deno.readFileSync(path)).digest("hex") === digest;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Puts the folder in place; when another start was quicker and its copy is sound, that one stays. */
function install(unpacked: string, final: string): void {
  const damaged = findDamage(unpacked);
  if (damaged !== undefined) throw new Error(`"${damaged}" differs from the manifest`);
  Deno.writeTextFileSync(`${unpacked}/.complete`, "");
  for (let attempt = 0; attempt < 3; attempt++) {
    if (renamed(unpacked, final)) return;
    if (isInstalled(final)) {
      // Sound, so only the times were off: without a newer mark every start would come back here.
      Deno.writeTextFileSync(`${final}/.complete`, "");
      return;
    }
    // What stands there is damaged. It is moved, not deleted: a node may be running from it.
    const aside = `${final}.damaged-${crypto.randomUUID()}`;
    if (renamed(final, aside)) removeQuietly(aside);
  }
  throw new Error(`"${final}" can't be replaced`);
}

function isInstalled(final: string): boolean {
  try {
    Deno.statSync(`${final}/.complete`);
    return isPrivate(final) && findDamage(final) === undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Whether the folder and all below it belong to this user and nobody else can write there. */
function isPrivate(path: string): boolean {
  const { uid, mode, isDirectory, isSymlink } = Deno.lstatSync(path);
  if (uid !== Deno.uid() || isSymlink || ((mode ?? 0) & 0o022) !== 0) return false;
  return !isDirectory ||
    [...Deno.readDirSync(path)].every(({ name }) => isPrivate(`${path}/${name}`));
}

/** False when the target is there already or the source is gone: another start was quicker. */
function renamed(from: string, to: string): boolean {
  try {
    Deno.renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function removeQuietly(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch {
    // Another user's files stay; nothing looks there again.
  }
}

const [unpacked, final] = Deno.args;
if (unpacked === undefined || final === undefined) throw new TypeError("Wanted two folders");
install(unpacked, final);
