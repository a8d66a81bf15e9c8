import { basename, dirname, join } from "node:path";
import type { KeptFile, PageFiles } from "../ports/mod.ts";
import { storageErrorFrom, writeFileDurably } from "./durable_file.ts";

/** The file at a path, whose folder is there by the time it is written. */
export function fileAt(path: string): KeptFile {
  const folder = dirname(path);
  const orAbsent = async <T>(action: string, work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw await storageErrorFrom(error, { action: `${action} "${basename(path)}"`, folder });
    }
  };
  return {
    read: () => orAbsent("read", Deno.readFile(path)),
    write: (bytes) => writeFileDurably(path, bytes),
    remove: () => orAbsent("remove", Deno.remove(path)),
  };
}

/** Read anew each time: nobody keeps what is hardly asked for, and a page that is made anew is shown at once. */
export function pageFilesIn(folder: string): PageFiles {
  return {
    async read(name) {
      try {
        return await Deno.readFile(join(folder, name));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
  };
}
