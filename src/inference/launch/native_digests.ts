import { UnavailableError } from "../../base/mod.ts";
import table from "./native_digests.json" with { type: "json" };
import { nativePackage } from "./native_folder.ts";
import { OWN_NATIVES_LIST, ownNativeDigests } from "./own_natives.ts";

/** SHA-256 of each file by package and name. `scripts/packaging/native_digests.ts` writes it. */
const DIGESTS: Readonly<Record<string, Readonly<Record<string, string>>>> = table;

/** SHA-256 of each file of a package, such as `linux-x64-vulkan`; undefined = there is no such package. */
export function packageDigests(name: string): Readonly<Record<string, string>> | undefined {
  return DIGESTS[name];
}

/** What one look at a folder of libraries saw. */
interface NativeFile {
  readonly name: string;
  readonly path: string;
  /** Differs when the file may: its place on the disk, size, and times of its last changes. */
  readonly mark: string;
}

/**
 * Checks that a folder holds nothing but files of the pinned release, whole: llama.cpp opens what lies there by its name
 * alone. Their content is read once; then a mark in the user's cache says which files those were.
 *
 * @param marksFolder Where marks are kept; undefined = the content is read each time.
 * @throws UnavailableError `load_failed` that names the file.
 */
export function checkNatives(folder: string, marksFolder: string | undefined): Promise<void> {
  return checkFiles(listFiles(folder), { known: DIGESTS, marksFolder, refuse: refuseOther });
}

/**
 * As {@link checkNatives}, of libraries that odist built itself: by the list that was written with them.
 *
 * @throws UnavailableError `load_failed` that names the file.
 */
export async function checkOwnNatives(
  folder: string,
  marksFolder: string | undefined,
): Promise<void> {
  const digests = ownNativeDigests(folder);
  const files = listFiles(folder).filter(({ name }) => name !== OWN_NATIVES_LIST);
  const refuse = (file: NativeFile, digest: string) => {
    const known = digests.get(file.name);
    if (known !== digest) throw distrust(file, digest, known === undefined ? [] : [known]);
  };
  await checkFiles(files, { known: [...digests], marksFolder, refuse });
}

async function checkFiles(files: readonly NativeFile[], by: {
  /** What `refuse` compares with: another one needs another look. */
  readonly known: unknown;
  readonly marksFolder: string | undefined;
  readonly refuse: (file: NativeFile, digest: string) => void;
}): Promise<void> {
  const { marksFolder } = by;
  const mark = await sha256(new TextEncoder().encode(JSON.stringify([by.known, files])));
  const markPath = marksFolder === undefined ? undefined : `${marksFolder}/${mark}`;
  if (markPath !== undefined && exists(markPath)) return;
  for (const file of files) by.refuse(file, await sha256(await Deno.readFile(file.path)));
  if (marksFolder === undefined || markPath === undefined) return;
  try {
    await Deno.mkdir(marksFolder, { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(markPath, "", { mode: 0o600 });
  } catch {
    // A cache that can't be written costs time, nothing else.
  }
}

/** @throws UnavailableError `load_failed` unless a package of this platform has such a file with this SHA-256. */
export function refuseOther(
  file: { readonly name: string; readonly path: string },
  digest: string,
) {
  const platform = nativePackage();
  const known = Object.entries(DIGESTS)
    .filter(([name]) => name === platform || name.startsWith(`${platform}-`))
    .flatMap(([, digests]) => digests[file.name] ?? []);
  if (!known.includes(digest)) throw distrust(file, digest, known);
}

function distrust(
  file: { readonly path: string },
  digest: string,
  known: readonly string[],
): UnavailableError {
  const reason = known.length === 0
    ? "no file of this name belongs to the libraries"
    : `its SHA-256 is ${digest}, that of the release is ${known.join(" or ")}`;
  return new UnavailableError("load_failed", `Cannot trust ${file.path}: ${reason}`);
}

function listFiles(folder: string): NativeFile[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => {
    const path = `${folder}/${name}`;
    const { dev, ino, size, mtime, ctime } = Deno.statSync(path);
    const mark = [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(":");
    return { name, path, mark };
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
