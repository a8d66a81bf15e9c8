import { createTarDecoder } from "modern-tar";
import { UnavailableError } from "../../base/mod.ts";
import { NATIVE_RELEASE } from "../launch/mod.ts";

/** One file of a package; whoever gets it reads its body to the end before the next one. */
export interface PackageFile {
  readonly name: string;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** The scope of the packages that carry llama.cpp's libraries. */
const SCOPE = "@node-llama-cpp";
/** Entries of an archive; a package has some thirty. */
const ENTRIES_MAX = 1_000;
/** Downloads of 350 MB over slow lines end by then. Milliseconds. */
const FETCH_TIMEOUT_MS = 3_600_000;

/** What people are told to ask a registry for. */
function packageSpecifier(packageName: string): string {
  return `${SCOPE}/${packageName}@${NATIVE_RELEASE}`;
}

/**
 * The libraries in an archive as a package registry has it, gzipped.
 *
 * @throws Error where it is cut short or none.
 */
export async function* filesOfArchive(path: string): AsyncGenerator<PackageFile> {
  using file = await Deno.open(path);
  const entries = file.readable.pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(createTarDecoder({ strict: true }));
  let count = 0;
  for await (const { header, body } of entries) {
    if (++count > ENTRIES_MAX) throw new Error(`it has more than ${ENTRIES_MAX} entries`);
    const [, name] = /^package\/bins\/[^/]+\/([^/]+)$/.exec(header.name) ?? [];
    if (name === undefined || header.type !== "file") await drain(body);
    else yield { name, body: body as PackageFile["body"] };
  }
}

/**
 * Has Deno fetch a package of the pinned release, as it fetches the program's own: with the user's registry, proxies and
 * credentials, and checked against what the registry says of it.
 *
 * @param folder An empty one, for all that comes.
 * @throws UnavailableError `load_failed` with what Deno said, or where this program has no Deno inside that could.
 */
export async function* filesOfRegistry(
  packageName: string,
  folder: string,
): AsyncGenerator<PackageFile> {
  const specifier = packageSpecifier(packageName);
  if (Deno.build.standalone) {
    throw cannotFetch(specifier, "this build of odist can't ask a package registry");
  }
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", "--no-config", "--no-lock", `npm:${specifier}`],
    env: { DENO_DIR: folder, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    cwd: folder,
    stdin: "null",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  }).output();
  if (!success) throw cannotFetch(specifier, new TextDecoder().decode(stderr).trim());
  const [registry] = [...Deno.readDirSync(`${folder}/npm`)].filter(({ isDirectory }) =>
    isDirectory
  );
  const bins =
    `${folder}/npm/${registry?.name}/${SCOPE}/${packageName}/${NATIVE_RELEASE}/bins/${packageName}`;
  for (const { name } of Deno.readDirSync(bins)) {
    using file = await Deno.open(`${bins}/${name}`);
    yield { name, body: file.readable };
  }
}

/** The decoder goes on when a body was read, and not when it is cancelled. */
export async function drain(body: ReadableStream<Uint8Array>): Promise<void> {
  for await (const _ of body);
}

function cannotFetch(specifier: string, reason: string): UnavailableError {
  return new UnavailableError(
    "load_failed",
    `Cannot fetch ${specifier}: ${reason}. On a machine that can, \`npm pack ${specifier}\` makes a file for --from`,
  );
}
