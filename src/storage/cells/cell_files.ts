import { join } from "node:path";
import { joinBytes } from "../../base/mod.ts";
import { PrefixShelf } from "../../core/kv_cache/mod.ts";
import type { CellStore } from "../../ports/mod.ts";
import {
  CELLS_BYTES_MAX,
  type CellsHeader,
  numberShape,
  objectShape,
  readShape,
  textShape,
} from "../../protocol/mod.ts";
import { drawSeal, type Seal } from "./seal.ts";
import {
  FILE_MODE,
  FOLDER_MODE,
  removeQuietly,
  TEMPORARY_PREFIX,
  temporaryPath,
  writeWhole,
} from "../durable_file.ts";

/** What a file begins with; another version's files are removed. */
const MAGIC = "odist cells 1\n";
/** Of a header's JSON. */
const HEADER_BYTES_MAX = 4_096;
/** Tokens of one prefix at most. */
const TOKENS_MAX = 4_194_304;
const LENGTH_BYTES = 4;
/** Of one model at most: all of them are told to its runner. */
const LISTED_MAX = 1_024;

const NAME = /^[0-9a-f]{32}$/;

const headerShape = objectShape({
  key: textShape(256),
  id: textShape(32),
  tokenBytes: numberShape(0, TOKENS_MAX * 4),
  savedPositions: numberShape(0, TOKENS_MAX),
  computeMs: numberShape(0),
  bytes: numberShape(0, CELLS_BYTES_MAX),
  sha256: textShape(64),
});

/** What is kept in a folder of cells. */
export interface CellFilesOptions {
  /** Of all files together; 0 = none are kept, and those that are there are removed. */
  readonly cacheDiskBytes: number;
  /** Whether nobody but this process can read them: those of an earlier one are removed. */
  readonly cacheEncrypt: boolean;
}

/** Where cells lie. */
interface Row {
  readonly key: string;
  readonly header: CellsHeader;
  readonly path: string;
}

/**
 * Cells in files: a folder for each key, a file for each prefix; made when it is missing. What saves least time for its bytes goes first. A file that a
 * crash left half written is shorter than it says, or its digest is another. The folder is read when it is first asked.
 */
export function openCellFiles(folder: string, options: CellFilesOptions): CellStore {
  const files = new CellFiles(folder, options);
  let reading: Promise<void> | undefined;
  const read = () => reading ??= files.readAll();
  return {
    list: (key) => read().then(() => files.list(key)),
    write: (key, cells) => read().then(() => files.write(key, cells)),
    read: (key, id) => read().then(() => files.read(key, id)),
    remove: (key, id) => read().then(() => files.remove(key, id)),
  };
}

class CellFiles implements CellStore {
  readonly #folder: string;
  readonly #shelf: PrefixShelf;
  readonly #rows = new Map<string, Row>();
  readonly #seal: Promise<Seal> | undefined;

  constructor(folder: string, options: CellFilesOptions) {
    this.#folder = folder;
    this.#seal = options.cacheEncrypt ? drawSeal() : undefined;
    // What another model's runner begins with says nothing about this one's: who writes says what he replaces.
    this.#shelf = new PrefixShelf({ bytesMax: options.cacheDiskBytes, canCut: false });
  }

  /** Takes in what is there, in the order in which it was used, and removes what can't be read or has no room. */
  async readAll(): Promise<void> {
    await Deno.mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
    const found: { readonly path: string; readonly usedMs: number }[] = [];
    for await (const key of Deno.readDir(this.#folder)) {
      if (!key.isDirectory || !NAME.test(key.name)) continue;
      const folder = join(this.#folder, key.name);
      for await (const { name } of Deno.readDir(folder)) {
        const path = join(folder, name);
        if (this.#seal !== undefined || name.startsWith(TEMPORARY_PREFIX)) {
          await removeQuietly(path);
        } else found.push({ path, usedMs: (await Deno.stat(path)).mtime?.getTime() ?? 0 });
      }
    }
    for (const { path } of found.toSorted((a, b) => a.usedMs - b.usedMs)) {
      const row = await readHeader(path).catch(() => undefined);
      const name = row === undefined ? "" : join(row.key, row.header.id);
      if (row === undefined || join(this.#folder, name) !== path) await removeQuietly(path);
      else await this.#note({ ...row, path });
    }
  }

  list(key: string): Promise<readonly CellsHeader[]> {
    const rows = [...this.#rows.values()].filter((row) => row.key === key);
    return Promise.resolve(rows.slice(-LISTED_MAX).map(({ header }) => header));
  }

  async write(key: string, cells: Parameters<CellStore["write"]>[1]): Promise<void> {
    const { header, state, replaces } = cells;
    if (!NAME.test(key) || !NAME.test(header.id) || !this.#shelf.hasRoomFor(header.bytes)) return;
    const folder = join(this.#folder, key);
    // The id tells the tokens to whoever guesses them.
    const name = this.#seal === undefined ? header.id : crypto.randomUUID().replaceAll("-", "");
    const path = join(folder, name);
    await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    for (const id of [header.id, ...replaces]) await this.remove(key, id);
    const temporary = temporaryPath(folder);
    try {
      using file = await Deno.open(temporary, { write: true, createNew: true, mode: FILE_MODE });
      const parts = [headerBytes(key, header), header.tokens, state] as const;
      const sealed = await this.#seal?.then((seal) => seal.close(joinBytes(parts)));
      for (const bytes of sealed === undefined ? parts : [sealed]) await writeWhole(file, bytes);
    } catch (error) {
      await removeQuietly(temporary);
      throw error;
    }
    await Deno.rename(temporary, path);
    await this.#note({ key, header, path });
  }

  async read(key: string, id: string): Promise<Uint8Array | undefined> {
    const row = this.#rows.get(`${key}/${id}`);
    if (row === undefined) return undefined;
    const { path } = row;
    const read = await Deno.readFile(path);
    const bytes = await this.#seal?.then((seal) => seal.open(read)) ?? read;
    this.#shelf.touch(`${key}/${id}`);
    const now = new Date();
    await Deno.utime(path, now, now);
    // Whoever asked checks it: what is cut or changed has another digest.
    return bytes.subarray(headerBytes(key, row.header).length + row.header.tokens.length);
  }

  async remove(key: string, id: string): Promise<void> {
    const name = `${key}/${id}`;
    const row = this.#rows.get(name);
    if (row === undefined) return;
    this.#rows.delete(name);
    this.#shelf.drop(name);
    await removeQuietly(row.path);
  }

  async #note(row: Row): Promise<void> {
    const { bytes, computeMs } = row.header;
    const id = `${row.key}/${row.header.id}`;
    this.#rows.set(id, row);
    for (const gone of this.#shelf.add({ id, tokens: new Int32Array(0), bytes, computeMs })) {
      const { key, header } = this.#rows.get(gone.id) ?? row;
      await this.remove(key, header.id);
    }
  }
}

/** The magic, the length of the JSON behind it, and the JSON; the tokens follow, then the cells. */
function headerBytes(key: string, header: CellsHeader): Uint8Array {
  const { id, tokens, savedPositions, computeMs, bytes, sha256 } = header;
  const fields = { key, id, tokenBytes: tokens.length, savedPositions, computeMs, bytes, sha256 };
  const json = new TextEncoder().encode(JSON.stringify(fields));
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, json.length);
  return new Uint8Array([...new TextEncoder().encode(MAGIC), ...length, ...json]);
}

/** Undefined for what is no such file. */
async function readHeader(
  path: string,
): Promise<{ readonly key: string; readonly header: CellsHeader } | undefined> {
  using file = await Deno.open(path);
  const head = await readBytes(file, MAGIC.length + LENGTH_BYTES);
  const view = new DataView(head.buffer, head.byteOffset);
  if (new TextDecoder().decode(head.subarray(0, MAGIC.length)) !== MAGIC) return undefined;
  const json = await readBytes(file, Math.min(view.getUint32(MAGIC.length), HEADER_BYTES_MAX));
  const read = readShape(headerShape, JSON.parse(new TextDecoder().decode(json)));
  if (read.kind !== "decoded") return undefined;
  const { key, tokenBytes, ...header } = read.value;
  const tokens = await readBytes(file, tokenBytes);
  const { size } = await file.stat();
  const wantedBytes = head.length + json.length + tokenBytes + header.bytes;
  return size === wantedBytes ? { key, header: { ...header, tokens } } : undefined;
}

/** @throws RangeError where there are fewer. */
async function readBytes(file: Deno.FsFile, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(new ArrayBuffer(count));
  for (let at = 0; at < count;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) throw new RangeError(`The file ends after ${at} of ${count} bytes`);
    at += read;
  }
  return bytes;
}
