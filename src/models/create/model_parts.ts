import { type Digest, invalidRequest, parseDigest, RequestError } from "../../base/mod.ts";
import type { BlobStore, CreateRequest } from "../../ports/mod.ts";
import type { GgufFacts } from "../gguf/mod.ts";
import { type FactsCache, type LayerKind, layerMediaType } from "../stored/mod.ts";
import type { GgufPart, PartSources } from "./gguf_part.ts";
import { joinSplitParts } from "./split_parts.ts";

/** First bytes of a GGUF file. */
const GGUF_MAGIC = "GGUF";

/**
 * Reads and checks the files of a create request (contract 1.11); writes nothing.
 *
 * @throws RequestError with the contract's text for what can't be a model, `invalid_gguf` naming file, reason and offset.
 */
export async function readFileParts(
  files: Readonly<Record<string, string>>,
  sources: PartSources,
): Promise<readonly GgufPart[]> {
  const named = checkFiles(files);
  await requireGguf(named, sources.blobs);
  const pieces: GgufPart[] = [];
  for (const file of named) pieces.push(await readPart(file, sources));
  const parts = await joinSplitParts(pieces, sources);
  if (parts.filter((part) => part.facts.kind === "model").length > 1) {
    throw invalidRequest("only one model file is currently supported");
  }
  return parts;
}

/**
 * Reads and checks the adapters of a create request; writes nothing.
 *
 * @throws as {@link readFileParts}.
 */
export async function readAdapterParts(
  files: Readonly<Record<string, string>>,
  sources: PartSources,
): Promise<readonly GgufPart[]> {
  return await readOnePart(files, sources, {
    many: "only one adapter is currently supported",
    kind: "adapter",
    notOne: "is not an adapter",
  });
}

/**
 * Reads and checks the draft model of a create request; writes nothing.
 *
 * @throws as {@link readFileParts}.
 */
export async function readDraftParts(
  files: Readonly<Record<string, string>>,
  sources: PartSources,
): Promise<readonly GgufPart[]> {
  const parts = await readOnePart(files, sources, {
    many: "only one draft model is currently supported",
    kind: "model",
    notOne: "is not a model",
  });
  const mediaType = layerMediaType("draft");
  return parts.map((part) => ({ ...part, layer: { ...part.layer, mediaType } }));
}

/** One part of a kind, or none. */
async function readOnePart(
  files: Readonly<Record<string, string>>,
  sources: PartSources,
  wanted: {
    readonly kind: GgufFacts["kind"];
    /** What is said of several, and of one that is of another kind. */
    readonly many: string;
    readonly notOne: string;
  },
): Promise<readonly GgufPart[]> {
  const named = checkFiles(files);
  if (named.length === 0) return [];
  if (named.length > 1) throw invalidRequest(wanted.many);
  await requireGguf(named, sources.blobs);
  const parts = await Promise.all(named.map((file) => readPart(file, sources)));
  const stranger = named.find((_, index) => parts[index]?.facts.kind !== wanted.kind);
  if (stranger !== undefined) {
    throw new RequestError("invalid_gguf", `"${stranger.path}" ${wanted.notOne}`);
  }
  return parts;
}

interface NamedFile {
  readonly path: string;
  readonly digest: Digest;
}

function checkFiles(files: NonNullable<CreateRequest["files"]>): readonly NamedFile[] {
  return Object.entries(files).map(([path, text]) => {
    if (!isCleanRelative(path)) {
      throw invalidRequest("file path must be relative");
    }
    const digest = parseDigest(text);
    if (digest === undefined) throw new RequestError("invalid_digest", "invalid digest format");
    return { path, digest };
  });
}

/** No root, no `..`, nothing empty: a path that can't leave its folder on any system. */
function isCleanRelative(path: string): boolean {
  if (path.includes("\\") || path.includes("\0") || /^[A-Za-z]:/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

async function requireGguf(files: readonly NamedFile[], blobs: BlobStore): Promise<void> {
  if (files.some((file) => file.path.toLowerCase().endsWith(".safetensors"))) {
    throw invalidRequest(
      "converting safetensors is not supported: convert the model to GGUF first",
    );
  }
  if (files.length === 0) throw invalidRequest("unknown type");
  for (const { path, digest } of files) {
    const found = await blobs.find(digest);
    if (found === undefined) {
      throw new RequestError(
        "blob_not_found",
        `blob ${digest} of "${path}" not found: upload it to /api/blobs/${digest} first`,
        { status: 400 },
      );
    }
    if (await hasMagic(digest, blobs)) continue;
    const isNamedGguf = path.toLowerCase().endsWith(".gguf");
    throw isNamedGguf
      ? new RequestError("invalid_gguf", "supplied file was not in GGUF format")
      : invalidRequest("unknown type");
  }
}

async function hasMagic(digest: Digest, blobs: BlobStore): Promise<boolean> {
  const reader = await blobs.open(digest);
  try {
    return new TextDecoder().decode(await reader.read(0, GGUF_MAGIC.length)) === GGUF_MAGIC;
  } finally {
    reader.close();
  }
}

async function readPart(file: NamedFile, sources: PartSources): Promise<GgufPart> {
  const facts = await readFactsOf(file, sources.facts);
  const found = await sources.blobs.find(file.digest);
  const kind: LayerKind = facts.kind;
  const layer = {
    mediaType: layerMediaType(kind),
    digest: file.digest,
    size: found?.blobBytes ?? 0,
  };
  return { layer, facts };
}

async function readFactsOf(file: NamedFile, facts: FactsCache): Promise<GgufFacts> {
  try {
    return await facts.get(file.digest);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    throw new RequestError("invalid_gguf", `"${file.path}": ${error.message}`, { cause: error });
  }
}
