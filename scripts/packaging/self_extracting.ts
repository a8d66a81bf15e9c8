/**
 * Writes one executable file: a shell launcher, and behind it the compressed archive that it unpacks.
 *
 * @module
 */
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { launcherText } from "./launcher.ts";
import { payloadDigest } from "./payload.ts";
import { type TarFile, tarPieces } from "./tar.ts";

/** Writes `out` under another name first, so that an interrupted build leaves no half executable. */
export async function writeSelfExtracting(
  out: string,
  payload: { readonly version: string; readonly files: readonly TarFile[] },
): Promise<void> {
  const { version, files } = payload;
  const template = await Deno.readTextFile(new URL("./launcher.sh", import.meta.url));
  const header = launcherText(template, {
    version,
    platform: `${Deno.build.os}-${Deno.build.arch}`,
    digest: payloadDigest(files),
    // The program runs without licences; an empty file, such as a module of types, can't be told from a damaged one.
    paths: files.filter(({ path, bytes }) => bytes.length > 0 && !path.startsWith("licenses/"))
      .map(({ path }) => path),
    unpackedBytes: files.reduce((sum, file) => sum + file.bytes.length, 0),
  });
  const unfinished = `${out}.unfinished`;
  await Deno.writeFile(unfinished, new TextEncoder().encode(header), { mode: 0o755 });
  await pipeline(
    Readable.from(tarPieces(files)),
    // Level 6: level 9 takes three times as long for one percent.
    createGzip({ level: 6 }),
    createWriteStream(unfinished, { flags: "a" }),
  );
  await Deno.rename(unfinished, out);
}
