/** What a library is made for, and what it offers. */
export interface ExportedSymbols {
  readonly format: "elf" | "mach-o" | "pe";
  readonly machine: "x64" | "arm64" | "other";
  /** Without the underscore that Mach-O puts before each. */
  readonly names: ReadonlySet<string>;
}

const ELF_MAGIC = 0x7f454c46;
const MACH_O_64_MAGIC = 0xfeedfacf;
const ELF_MACHINES: Readonly<Record<number, "x64" | "arm64">> = { 0x3e: "x64", 0xb7: "arm64" };
const PE_MACHINES: Readonly<Record<number, "x64" | "arm64">> = { 0x8664: "x64", 0xaa64: "arm64" };
const MACH_O_MACHINES: Readonly<Record<number, "x64" | "arm64">> = {
  0x0100_0007: "x64",
  0x0100_000c: "arm64",
};
/** `SHT_DYNSYM`, `SHN_UNDEF`. */
const DYNAMIC_SYMBOLS = 11;
const UNDEFINED_SECTION = 0;
/** `LC_SYMTAB`; of an `n_type`: private, any type, undefined, external. */
const SYMBOL_TABLE_COMMAND = 2;
const [PRIVATE, TYPE, EXTERNAL] = [0x10, 0x0e, 0x01];

/**
 * Reads the table of symbols that others may use.
 *
 * @throws RangeError where it is no library of 64 bits, or cut short.
 */
export function readExportedSymbols(bytes: Uint8Array<ArrayBuffer>): ExportedSymbols {
  const file = new Reader(bytes);
  if (file.u32(0, "big") === ELF_MAGIC) return readElf(file);
  if (file.u32(0) === MACH_O_64_MAGIC) return readMachO(file);
  if (file.text(0, 2) === "MZ") return readPe(file);
  throw new RangeError("It is no library of 64 bits");
}

/** Numbers are little-endian unless told otherwise. */
class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8 = (at: number) => this.#view.getUint8(at);
  u16 = (at: number) => this.#view.getUint16(at, true);
  u32 = (at: number, order: "little" | "big" = "little") =>
    this.#view.getUint32(at, order === "little");
  u64 = (at: number) => Number(this.#view.getBigUint64(at, true));

  text(at: number, length: number): string {
    return new TextDecoder().decode(this.#bytes.subarray(at, at + length));
  }

  /** Up to its NUL. */
  name(at: number): string {
    return this.text(at, this.#bytes.indexOf(0, at) - at);
  }
}

function readElf(file: Reader): ExportedSymbols {
  const [sections, size, count] = [file.u64(0x28), file.u16(0x3a), file.u16(0x3c)];
  const headers = Array.from({ length: count }, (_, index) => sections + index * size);
  const names = new Set<string>();
  for (const header of headers) {
    if (file.u32(header + 4) !== DYNAMIC_SYMBOLS) continue;
    const [offset, length] = [file.u64(header + 0x18), file.u64(header + 0x20)];
    const texts = file.u64((headers[file.u32(header + 0x28)] ?? 0) + 0x18);
    for (let at = offset; at < offset + length; at += 24) {
      if (file.u16(at + 6) !== UNDEFINED_SECTION) names.add(file.name(texts + file.u32(at)));
    }
  }
  return { format: "elf", machine: ELF_MACHINES[file.u16(0x12)] ?? "other", names };
}

function readMachO(file: Reader): ExportedSymbols {
  const names = new Set<string>();
  let command = 32;
  for (let left = file.u32(16); left > 0; left--) {
    if (file.u32(command) === SYMBOL_TABLE_COMMAND) {
      const [symbols, count, texts] = [8, 12, 16].map((at) => file.u32(command + at));
      for (let index = 0; index < (count ?? 0); index++) {
        const at = (symbols ?? 0) + index * 16;
        const kind = file.u8(at + 4);
        const isOffered = (kind & EXTERNAL) !== 0 && (kind & PRIVATE) === 0 && (kind & TYPE) !== 0;
        if (isOffered) names.add(file.name((texts ?? 0) + file.u32(at)).replace(/^_/, ""));
      }
    }
    command += file.u32(command + 4);
  }
  return { format: "mach-o", machine: MACH_O_MACHINES[file.u32(4)] ?? "other", names };
}

function readPe(file: Reader): ExportedSymbols {
  const header = file.u32(0x3c);
  const optional = header + 24;
  const sections = optional + file.u16(header + 20);
  // Addresses in memory, to places in the file.
  const placeOf = (address: number) => {
    for (let index = 0; index < file.u16(header + 6); index++) {
      const at = sections + index * 40;
      const [size, start, offset] = [file.u32(at + 8), file.u32(at + 12), file.u32(at + 20)];
      if (address >= start && address < start + size) return address - start + offset;
    }
    throw new RangeError(`No section holds address ${address}`);
  };
  // Of PE32+, the first of the directories.
  const table = placeOf(file.u32(optional + 112));
  const list = placeOf(file.u32(table + 32));
  const names = new Set<string>();
  for (let index = 0; index < file.u32(table + 24); index++) {
    names.add(file.name(placeOf(file.u32(list + index * 4))));
  }
  return { format: "pe", machine: PE_MACHINES[file.u16(header + 4)] ?? "other", names };
}
