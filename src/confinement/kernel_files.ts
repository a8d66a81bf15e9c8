/** Texts of one file are no longer than this. */
const TEXT_BYTES_MAX = 64 * 1024 * 1024;

/** Reads a file of `/proc` or `/sys` as it is now. @throws Deno.errors.NotFound for one that wasn't there at the start. */
export type KernelFileReader = (path: string) => string;

/**
 * Opens files of the kernel, which Deno reads for a process with all permissions only, so that they can be read again
 * and again after some were given up.
 */
export function openKernelFiles(paths: readonly string[]): KernelFileReader {
  const files = new Map(paths.map((path) => [path, open(path)]));
  return (path) => {
    const file = files.get(path);
    if (file === undefined) throw new Deno.errors.NotFound(`"${path}" was not there at the start`);
    file.seekSync(0, Deno.SeekMode.Start);
    return readToEnd(file);
  };
}

/** undefined on other systems, or where such a file isn't for this user. */
function open(path: string): Deno.FsFile | undefined {
  try {
    return Deno.openSync(path);
  } catch {
    return undefined;
  }
}

function readToEnd(file: Deno.FsFile): string {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(64 * 1024);
  let text = "";
  while (text.length < TEXT_BYTES_MAX) {
    const count = file.readSync(chunk);
    if (count === null) break;
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
  }
  return text;
}
