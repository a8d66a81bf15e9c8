import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import {
  errorMessage,
  isHashHex,
  printableText,
  RequestError,
  UnavailableError,
} from "../../base/mod.ts";

/** Where releases are published. */
export const RELEASES_URL = "https://github.com/odist/odist/releases";
/** Beside the files of a release, which it describes. */
const DESCRIPTION = "release.json";
const DESCRIPTION_BYTES_MAX = 2 ** 20;
/** As `scripts/build.ts` makes one at most. */
const FILE_BYTES_MAX = 200 * 2 ** 20;

/** What a release says of one of its programs. */
interface ReleasedFile {
  readonly name: string;
  /** As Deno names them, e.g. `linux` and `x86_64`. */
  readonly os: string;
  readonly arch: string;
  readonly bytes: number;
  /** SHA-256 in hex. */
  readonly sha256: string;
}

/** A release that was found. */
export interface Release {
  readonly version: string;
  readonly files: readonly ReleasedFile[];
  /** The folder that the files are in, with a slash at its end. */
  readonly place: URL;
}

/**
 * What the newest release is.
 *
 * @param from A folder, an address of one, or undefined for where releases are published.
 * @throws UnavailableError `node_unreachable` where nothing can be read; RequestError `invalid_request` where it is no release.
 */
export async function readRelease(
  from: string | undefined,
  signal: AbortSignal,
): Promise<Release> {
  const place = placeOf(from ?? `${RELEASES_URL}/latest/download`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of await open(new URL(DESCRIPTION, place), signal)) {
    size += chunk.length;
    if (size > DESCRIPTION_BYTES_MAX) throw unreadable(place, "it is longer than 1 MiB");
    chunks.push(chunk);
  }
  const text = new TextDecoder().decode(await new Blob(chunks as BlobPart[]).arrayBuffer());
  return { ...parseRelease(text, place), place };
}

function placeOf(from: string): URL {
  const isAddress = /^https?:\/\//.test(from);
  const address = isAddress ? from : pathToFileURL(from).href;
  return new URL(`${address.replace(/\/+$/, "")}/`);
}

async function open(url: URL, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  try {
    if (url.protocol === "file:") return (await Deno.open(url)).readable;
    const response = await fetch(url, { signal });
    if (response.ok && response.body !== null) return response.body;
    await response.body?.cancel();
    throw new Error(`it answers ${response.status}`);
  } catch (error) {
    const reason = printableText(errorMessage(error));
    throw new UnavailableError("node_unreachable", `Cannot read ${url.href}: ${reason}`, {
      cause: error,
    });
  }
}

function parseRelease(text: string, place: URL): Pick<Release, "version" | "files"> {
  let parsed: Partial<Release>;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw unreadable(place, printableText(errorMessage(error)));
  }
  const { version, files } = parsed ?? {};
  if (typeof version !== "string" || numbersOf(version) === undefined) {
    throw unreadable(place, "it names no version");
  }
  if (!Array.isArray(files) || !files.every(isReleasedFile)) {
    throw unreadable(place, "it doesn't name its files with their sizes and SHA-256");
  }
  return { version, files };
}

function isReleasedFile(value: unknown): value is ReleasedFile {
  const { name, os, arch, bytes, sha256 } = (value ?? {}) as Partial<ReleasedFile>;
  return typeof name === "string" && /^[\w.+-]+$/.test(name) && typeof os === "string" &&
    typeof arch === "string" && typeof sha256 === "string" && isHashHex(sha256) &&
    Number.isSafeInteger(bytes) && Number(bytes) > 0 && Number(bytes) <= FILE_BYTES_MAX;
}

function unreadable(place: URL, reason: string): RequestError {
  return new RequestError(
    "invalid_request",
    `${new URL(DESCRIPTION, place).href} describes no release: ${reason}`,
  );
}

/** The program for this machine; throws RequestError `invalid_request` where the release has none. */
export function fileForThisMachine({ version, files }: Release): ReleasedFile {
  const { os, arch } = Deno.build;
  const file = files.find((one) => one.os === os && one.arch === arch);
  if (file !== undefined) return file;
  const there = files.map((one) => `${one.os}-${one.arch}`).join(", ") || "none";
  throw new RequestError(
    "invalid_request",
    `Release ${version} has no program for ${os}-${arch}: it has ${there}`,
  );
}

/**
 * Writes one of the release's files, which nobody can start before its SHA-256 has been compared.
 *
 * @throws RequestError `digest_mismatch`, with nothing left behind.
 */
export async function download(
  release: Release,
  file: ReleasedFile,
  target: { readonly path: string; readonly signal: AbortSignal },
): Promise<void> {
  const hash = createHash("sha256");
  let size = 0;
  const out = await Deno.open(target.path, { write: true, createNew: true, mode: 0o600 });
  try {
    for await (const chunk of await open(new URL(file.name, release.place), target.signal)) {
      size += chunk.length;
      if (size > file.bytes) break;
      hash.update(chunk);
      await writeAll(out, chunk);
    }
    const digest = hash.digest("hex");
    if (size !== file.bytes || digest !== file.sha256) {
      throw new RequestError(
        "digest_mismatch",
        `${file.name} is not what the release says: wanted ${file.bytes} bytes with SHA-256 ${file.sha256}, got ${
          size > file.bytes ? "more" : `${size} with ${digest}`
        }`,
      );
    }
    await out.sync();
  } catch (error) {
    await Deno.remove(target.path);
    throw error;
  } finally {
    out.close();
  }
}

async function writeAll(out: Deno.FsFile, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    written += await out.write(chunk.subarray(written));
  }
}

/** Negative when `left` is the older one. What is no version is older than any. */
export function compareVersions(left: string, right: string): number {
  const [one, other] = [numbersOf(left) ?? [-1], numbersOf(right) ?? [-1]];
  for (let index = 0; index < 4; index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Major, minor, patch, and -1 for what comes before a release (`1.2.0-rc.1`), 0 for the release. */
function numbersOf(version: string): readonly number[] | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[\w.-]+)?$/.exec(version);
  if (match === null) return undefined;
  return [...match.slice(1, 4).map(Number), match[4] === undefined ? 0 : -1];
}
