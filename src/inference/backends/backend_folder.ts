import {
  type Digest,
  errorMessage,
  isEdgeError,
  RequestError,
  UnavailableError,
} from "../../base/mod.ts";
import type { BlobReader } from "../../ports/mod.ts";
import { NATIVE_RELEASE, nativePackage, packageDigests } from "../launch/mod.ts";
import { drain, type PackageFile } from "./package_files.ts";
import type { ProbedNatives } from "./probe_natives.ts";

/** Names of the files that {@link BackendFolder.add} wants of a package. */
export function filesWanted(packageName: string): readonly string[] {
  return Object.keys(packageDigests(packageName) ?? {}).filter((name) => !LEFT_OUT.test(name));
}

/** What drives devices of several makers, the faster one first. */
export const BACKENDS = ["cuda", "vulkan"] as const;
/** Libraries that can be added to those for the cores. */
export type Backend = (typeof BACKENDS)[number];

/** Bytes of a package's files together; the largest there is has 190 MB. */
const PACKAGE_BYTES_MAX = 2 * 1024 ** 3;
/** Of no use to anybody but Node, or to those who link. */
const LEFT_OUT = /^llama-addon\./;

/** Libraries as they were added, and what a process that opened them found. */
export interface AddedBackend {
  readonly backend: Backend;
  /** Where its libraries lie. */
  readonly folder: string;
  /** `set_aside`: no runner is started with them. */
  readonly state: "usable" | "set_aside";
  /** Why it was set aside; "" where it wasn't. */
  readonly reason: string;
  /** Names of the devices it drives, as llama.cpp has them. */
  readonly devices: readonly string[];
}

/** What adding takes. */
export interface BackendFolderParts {
  /** Below the data folder; made when something is added. */
  readonly folder: string;
  /** Opens the libraries of a folder in a process of its own. @throws With the reason where that died. */
  readonly probe: (nativeFolder: string) => Promise<ProbedNatives>;
  /** SHA-256 of each file of a package. Default: those of the pinned release. */
  readonly digestsOf?: (packageName: string) => Digests | undefined;
}

type Digests = Readonly<Record<string, string>>;

/**
 * The libraries that a user added to this node's own, each in a folder of its release: one that a newer odist can't drive is
 * not there for it.
 */
export class BackendFolder {
  readonly #parts: BackendFolderParts;

  constructor(parts: BackendFolderParts) {
    this.#parts = parts;
  }

  /** Those that were added, the faster ones first. */
  list(): readonly AddedBackend[] {
    return BACKENDS.flatMap((backend) => this.find(backend) ?? []);
  }

  /** Undefined = it was not added, or for another release. */
  find(backend: Backend): AddedBackend | undefined {
    try {
      const place = this.#place(packageOf(backend));
      // Only this program writes there.
      const proved: Pick<AddedBackend, "state" | "reason" | "devices"> = JSON.parse(
        Deno.readTextFileSync(`${place}.json`),
      );
      return { backend, folder: place, ...proved };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof RequestError) return undefined;
      throw error;
    }
  }

  /**
   * Keeps a package's files where each is the one whose SHA-256 stands in the source, then has a process open them. One that
   * dies of it, or finds no device, sets them aside. Files that are here already are not read again from `files`.
   *
   * @throws RequestError `invalid_request` where there is no such package for this platform; UnavailableError `load_failed`
   *   where a file is missing or another one. Nothing is kept then.
   */
  async add(backend: Backend, files: AsyncIterable<PackageFile>): Promise<AddedBackend> {
    const packageName = packageOf(backend);
    const place = this.#place(packageName);
    const wanted = this.#wanted(packageName);
    const isHere = await check(place, wanted).then(() => true, () => false);
    if (!isHere) await this.#receive(files, { wanted, packageName, backend });
    const proved = await this.#prove(place);
    await Deno.writeTextFile(`${place}.json`, JSON.stringify(proved), { mode: 0o600 });
    return { backend, folder: place, ...proved };
  }

  async #receive(
    files: AsyncIterable<PackageFile>,
    by: { readonly wanted: Digests; readonly packageName: string; readonly backend: Backend },
  ): Promise<void> {
    await Deno.mkdir(this.#parts.folder, { recursive: true, mode: 0o700 });
    const arriving = await Deno.makeTempDir({ dir: this.#parts.folder, prefix: ".adding-" });
    try {
      await write(files, { folder: arriving, wanted: by.wanted });
      await check(arriving, by.wanted);
      await this.remove(by.backend);
      await Deno.rename(arriving, this.#place(by.packageName));
    } catch (error) {
      if (isEdgeError(error) && error.code !== "load_failed") throw error;
      throw new UnavailableError(
        "load_failed",
        `Cannot use this for ${by.packageName} ${NATIVE_RELEASE}: ${errorMessage(error)}`,
        { cause: error },
      );
    } finally {
      await Deno.remove(arriving, { recursive: true }).catch(() => {});
    }
  }

  #wanted(packageName: string): Digests {
    const digests = (this.#parts.digestsOf ?? packageDigests)(packageName) ?? {};
    return Object.fromEntries(Object.entries(digests).filter(([name]) => !LEFT_OUT.test(name)));
  }

  /** A file of what was added, for another node; undefined = it isn't here. */
  async file(packageName: string, name: string): Promise<PackageFile["body"] | undefined> {
    // Nothing else is ever opened: both come from outside.
    if (!Object.hasOwn(this.#wanted(packageName), name)) return undefined;
    try {
      return (await Deno.open(`${this.#place(packageName)}/${name}`)).readable;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The digest that a package's file must have; undefined = there is no such file. */
  digestOf(packageName: string, name: string): Digest | undefined {
    const wanted = this.#wanted(packageName);
    return Object.hasOwn(wanted, name) ? `sha256:${wanted[name]}` as Digest : undefined;
  }

  /** Opens a file of what was added; undefined = it isn't here. */
  async open(digest: Digest): Promise<BlobReader | undefined> {
    const path =
      this.list().flatMap(({ backend, folder }) =>
        Object.entries(this.#wanted(packageOf(backend)))
          .filter(([, found]) => `sha256:${found}` === digest)
          .map(([name]) => `${folder}/${name}`)
      )[0];
    return path === undefined ? undefined : await readerOf(path);
  }

  /** Whether there was one. */
  async remove(backend: Backend): Promise<boolean> {
    const place = this.#place(packageOf(backend));
    const gone = [`${place}.json`, place].map((path) =>
      Deno.remove(path, { recursive: true }).then(() => true, (error) => {
        if (error instanceof Deno.errors.NotFound) return false;
        throw error;
      })
    );
    return (await Promise.all(gone)).some((was) => was);
  }

  async #prove(place: string): Promise<Pick<AddedBackend, "state" | "reason" | "devices">> {
    try {
      const { devices, unusable } = await this.#parts.probe(place);
      const names = devices.map(({ name }) => name);
      if (names.length > 0) return { state: "usable", reason: "", devices: names };
      const reasons = unusable.map(({ library, reason }) => `${library}: ${reason}`);
      return { state: "set_aside", reason: reasons.join("; ") || "no device", devices: [] };
    } catch (error) {
      return { state: "set_aside", reason: errorMessage(error), devices: [] };
    }
  }

  #place(packageName: string): string {
    return `${this.#parts.folder}/${packageName}-${NATIVE_RELEASE}`;
  }
}

/** The package of a backend on this platform. @throws RequestError `invalid_request` where there is none. */
export function packageOf(backend: Backend): string {
  const name = `${nativePackage()}-${backend}`;
  if (packageDigests(name) !== undefined) return name;
  throw new RequestError(
    "invalid_request",
    `There are no ${backend} libraries for ${nativePackage()}`,
  );
}

async function readerOf(path: string): Promise<BlobReader> {
  const file = await Deno.open(path);
  const { size } = await file.stat();
  return {
    blobBytes: size,
    read: async (offset, length) => {
      await file.seek(offset, Deno.SeekMode.Start);
      const bytes = new Uint8Array(length);
      return bytes.subarray(0, await file.read(bytes) ?? 0);
    },
    close: () => file.close(),
  };
}

/** Writes the wanted files that come. */
async function write(
  files: AsyncIterable<PackageFile>,
  into: { readonly folder: string; readonly wanted: Digests },
): Promise<void> {
  let bytes = 0;
  for await (const { name, body } of files) {
    if (!Object.hasOwn(into.wanted, name)) {
      await drain(body);
      continue;
    }
    using file = await Deno.open(`${into.folder}/${name}`, { write: true, createNew: true });
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > PACKAGE_BYTES_MAX) throw new Error(`it has more than ${PACKAGE_BYTES_MAX} bytes`);
      for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    }
  }
}

/** @throws Error that names the first file which is missing or another one. */
async function check(folder: string, wanted: Digests): Promise<void> {
  for (const [name, digest] of Object.entries(wanted)) {
    const bytes = await Deno.readFile(`${folder}/${name}`).catch((error) => {
      if (error instanceof Deno.errors.NotFound) throw new Error(`${name} is missing`);
      throw error;
    });
    const found = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    if (found !== digest) throw new Error(`the SHA-256 of ${name} is ${found}, wanted ${digest}`);
  }
}
