/**
 * Blob store and catalog in memory: the twins of the ones in `src/storage`, for tests that are not about disks. Both
 * pairs pass one contract suite (`model_storage_contract.ts`).
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Digest, parseDigest, RequestError, StorageError } from "../../src/base/mod.ts";
import type {
  BlobReader,
  BlobStore,
  CatalogEntry,
  ModelCatalog,
  PartialBlob,
  PartialBlobPart,
  Replacement,
} from "../../src/ports/mod.ts";
import {
  displayModelName,
  formatModelName,
  type ModelName,
  parseManifest,
} from "../../src/protocol/mod.ts";

/** SHA-256 as the stores name blobs. */
export function digestOf(bytes: Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  if (digest === undefined) throw new Error("no digest");
  return digest;
}

/** {@link BlobStore} without a disk. */
export class MemoryBlobStore implements BlobStore {
  readonly blobs = new Map<Digest, Uint8Array>();
  readonly #partials = new Map<Digest, MemoryPartial>();

  find(digest: Digest): Promise<{ readonly blobBytes: number } | undefined> {
    const bytes = this.blobs.get(digest);
    return Promise.resolve(bytes && { blobBytes: bytes.length });
  }

  path(digest: Digest): string {
    return `/memory/blobs/${digest.replace(":", "-")}`;
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) throw new StorageError("corrupt_file", `Cannot read blob ${digest}`);
    return bytes;
  }

  async open(digest: Digest): Promise<BlobReader> {
    const bytes = await this.read(digest);
    return {
      blobBytes: bytes.length,
      read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
      close: () => {},
    };
  }

  async write(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists"> {
    if (this.blobs.has(digest)) {
      await bytes.cancel();
      return "exists";
    }
    const whole = new Uint8Array(await new Response(bytes).arrayBuffer());
    const found = digestOf(whole);
    if (found !== digest) {
      throw new RequestError(
        "digest_mismatch",
        `digest mismatch, expected "${digest}", got "${found}"`,
      );
    }
    this.blobs.set(digest, whole);
    return "created";
  }

  async put(bytes: Uint8Array) {
    const digest = digestOf(bytes);
    const outcome = this.blobs.has(digest) ? "exists" as const : "created" as const;
    this.blobs.set(digest, bytes.slice());
    return { digest, outcome };
  }

  async putFile(make: (path: string) => Promise<void>) {
    const path = await Deno.makeTempFile({ prefix: "odist-blob-" });
    try {
      await make(path);
      const bytes = await Deno.readFile(path);
      return { digest: (await this.put(bytes)).digest, blobBytes: bytes.length };
    } finally {
      await Deno.remove(path);
    }
  }

  findPartial(digest: Digest): Promise<PartialBlob | undefined> {
    return Promise.resolve(this.#partials.get(digest));
  }

  createPartial(
    digest: Digest,
    size: { readonly blobBytes: number; readonly partBytes: number },
  ): Promise<PartialBlob> {
    const partial = new MemoryPartial(size, (bytes) => {
      this.#partials.delete(digest);
      const found = digestOf(bytes);
      if (found !== digest) {
        throw new StorageError(
          "corrupt_file",
          `digest mismatch, file must be downloaded again: want ${digest}`,
        );
      }
      this.blobs.set(digest, bytes);
    });
    this.#partials.set(digest, partial);
    return Promise.resolve(partial);
  }

  delete(digest: Digest): Promise<void> {
    this.blobs.delete(digest);
    return Promise.resolve();
  }

  list(): Promise<readonly Digest[]> {
    return Promise.resolve([...this.blobs.keys()].sort());
  }
}

class MemoryPartial implements PartialBlob {
  readonly blobBytes: number;
  readonly parts: { -readonly [Key in keyof PartialBlobPart]: PartialBlobPart[Key] }[] = [];
  readonly #bytes: Uint8Array;
  readonly #onCommit: (bytes: Uint8Array) => void;

  constructor(
    size: { readonly blobBytes: number; readonly partBytes: number },
    onCommit: (bytes: Uint8Array) => void,
  ) {
    this.blobBytes = size.blobBytes;
    this.#bytes = new Uint8Array(size.blobBytes);
    this.#onCommit = onCommit;
    for (let offset = 0; offset < size.blobBytes; offset += size.partBytes) {
      const partBytes = Math.min(size.partBytes, size.blobBytes - offset);
      this.parts.push({ index: this.parts.length, offset, partBytes, completedBytes: 0 });
    }
  }

  append(index: number, bytes: Uint8Array): Promise<void> {
    const part = this.parts[index];
    if (part === undefined) throw new Error(`no part ${index}`);
    this.#bytes.set(bytes, part.offset + part.completedBytes);
    part.completedBytes += bytes.length;
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  async commit(): Promise<void> {
    this.#onCommit(this.#bytes);
  }

  close(): void {}
}

/** {@link ModelCatalog} without a disk; `nowMs` dates each put. */
export class MemoryCatalog implements ModelCatalog {
  readonly #entries = new Map<string, CatalogEntry>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => Date.now()) {
    this.#nowMs = nowMs;
  }

  /** As people write them, sorted. */
  get names(): readonly string[] {
    return [...this.#entries.values()].map(({ name }) => displayModelName(name)).sort();
  }

  find(name: ModelName): Promise<CatalogEntry | undefined> {
    return Promise.resolve(this.#entries.get(keyOf(name)));
  }

  list(): Promise<readonly CatalogEntry[]> {
    const newestFirst = (left: CatalogEntry, right: CatalogEntry) =>
      right.modifiedAtMs - left.modifiedAtMs;
    return Promise.resolve([...this.#entries.values()].sort(newestFirst));
  }

  async put(name: ModelName, bytes: Uint8Array): Promise<Replacement> {
    const manifest = parseManifest(bytes);
    if (manifest === undefined) throw new Error("no manifest");
    const replaced = this.#entries.get(keyOf(name));
    this.#entries.set(keyOf(name), {
      name: replaced?.name ?? name,
      manifest,
      bytes: bytes.slice(),
      manifestDigest: digestOf(bytes).slice("sha256:".length),
      modifiedAtMs: this.#nowMs(),
    });
    return { stored: await this.find(name), replaced };
  }

  async copy(source: ModelName, destination: ModelName): Promise<boolean> {
    const entry = await this.find(source);
    if (entry !== undefined) await this.put(destination, entry.bytes);
    return entry !== undefined;
  }

  delete(name: ModelName): Promise<boolean> {
    return Promise.resolve(this.#entries.delete(keyOf(name)));
  }
}

function keyOf(name: ModelName): string {
  return formatModelName(name).toLowerCase();
}
