/**
 * Writes a ustar archive whose bytes depend only on names, modes and contents, so that two builds of one commit are
 * one file.
 *
 * @module
 */

/** One file of an archive. */
export interface TarFile {
  /** Relative, with `/`; 1..100 bytes of ASCII. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

const BLOCK_BYTES = 512;

/** The archive as pieces in order; throws RangeError for a path that a ustar header can't hold. */
export function* tarPieces(files: readonly TarFile[]): Iterable<Uint8Array> {
  for (const file of files) {
    yield tarHeader(file);
    yield file.bytes;
    yield new Uint8Array((BLOCK_BYTES - file.bytes.length % BLOCK_BYTES) % BLOCK_BYTES);
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

function tarHeader(file: TarFile): Uint8Array {
  if (!/^[\w.+@/-]{1,100}$/.test(file.path)) {
    throw new RangeError(
      `Cannot archive file: its path must be 1 to 100 plain characters: "${file.path}"`,
    );
  }
  const header = new Uint8Array(BLOCK_BYTES);
  const encoder = new TextEncoder();
  const put = (offset: number, text: string) => header.set(encoder.encode(text), offset);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0") + "\0";
  put(0, file.path);
  put(100, octal(file.executable ? 0o755 : 0o644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(file.bytes.length, 11));
  put(136, octal(0, 11));
  put(148, " ".repeat(8));
  put(156, "0");
  put(257, "ustar\0" + "00");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, octal(sum, 6) + " ");
  return header;
}
