import { createHash } from "node:crypto";
import { assert, parseDigest, RequestError } from "../../base/mod.ts";
import type { BlobReader } from "../../ports/mod.ts";
import { type MergedGguf, mergeGguf, readGguf } from "../gguf/mod.ts";
import { layerMediaType } from "../stored/mod.ts";
import type { GgufPart, PartSources } from "./gguf_part.ts";

/**
 * Puts the parts of a split model together (contract 1.11). Other parts pass through. The whole is only measured here,
 * by reading it once; {@link GgufPart.merged} writes it later.
 *
 * @throws RequestError `invalid_gguf` when a part is missing or there twice.
 */
export async function joinSplitParts(
  parts: readonly GgufPart[],
  sources: PartSources,
): Promise<readonly GgufPart[]> {
  const pieces = parts.filter((part) => part.facts.split !== undefined);
  if (pieces.length === 0) return parts;
  const ordered = orderPieces(pieces);
  const merged: GgufPart["merged"] = (use) => withMerged(ordered, sources, use);
  const layer = await merged(async (whole) => {
    const hash = createHash("sha256");
    for await (const chunk of whole.read()) hash.update(chunk);
    const digest = parseDigest(`sha256:${hash.digest("hex")}`);
    assert(digest !== undefined, "A SHA-256 in hex is a digest");
    return { mediaType: layerMediaType("model"), digest, size: whole.blobBytes };
  });
  const facts = await merged((whole) => Promise.resolve(whole.facts));
  return [...parts.filter((part) => part.facts.split === undefined), { layer, facts, merged }];
}

function orderPieces(pieces: readonly GgufPart[]): readonly GgufPart[] {
  const count = pieces[0]?.facts.split?.count ?? 0;
  const ordered: GgufPart[] = [];
  for (let index = 0; index < count; index++) {
    const [piece, twin] = pieces.filter(({ facts }) =>
      facts.split?.index === index && facts.split.count === count
    );
    if (piece === undefined || twin !== undefined) {
      const what = piece === undefined ? "is missing" : "is there twice";
      throw new RequestError(
        "invalid_gguf",
        `the split model is not whole: part ${index + 1} of ${count} ${what}`,
      );
    }
    ordered.push(piece);
  }
  if (ordered.length === pieces.length) return ordered;
  throw new RequestError("invalid_gguf", "the files are parts of more than one split model");
}

async function withMerged<T>(
  pieces: readonly GgufPart[],
  sources: PartSources,
  use: (whole: MergedGguf) => Promise<T>,
): Promise<T> {
  const readers: BlobReader[] = [];
  try {
    const opened = [];
    for (const { layer } of pieces) {
      const source = await sources.blobs.open(layer.digest);
      readers.push(source);
      opened.push({ source, gguf: await readGguf(source, { arrays: "none" }) });
    }
    return await use(await mergeGguf(opened));
  } finally {
    for (const reader of readers) reader.close();
  }
}
