import { RequestError } from "../base/mod.ts";
import { type ModelDefinition, type ModelStore, verifyDefinition } from "../models/mod.ts";
import type { CatalogEntry, PeerAddress } from "../ports/mod.ts";
import {
  arrayShape,
  byteStringShape,
  displayModelName,
  hashHexShape,
  objectShape,
  type ShapeOf,
  STREAM_FRAME_BYTES_MAX,
  textShape,
  unionShape,
  unknownShape,
  wireErrorShape,
} from "../protocol/mod.ts";
import {
  answering,
  askPeer,
  decodeDefinition,
  encodeDefinition,
  type QuestionParts,
  readAnswer,
  type StreamHandler,
} from "../calls/mod.ts";

/** Small blobs of one model. */
const LAYERS_MAX = 4_096;

/** Streams that ask for a definition. */
export const DESCRIBE_PURPOSE = "describe";

const questionShape = objectShape({
  name: textShape(1024),
  manifestDigest: hashHexShape,
});
const replyShape = unionShape({
  described: objectShape({
    definition: unknownShape,
    /** Blobs that the manifest names by digest; what they say counts, not the definition. */
    layers: arrayShape(byteStringShape(STREAM_FRAME_BYTES_MAX), LAYERS_MAX),
  }),
  refused: objectShape({ error: wireErrorShape }),
});

/** Finds this node's own definition of a model; undefined when it is not whole here. */
export type FindDefinition = (
  model: { readonly name: string; readonly manifestDigest: string },
) => Promise<ModelDefinition | undefined>;

/** Tells other nodes what a model is that they don't hold. */
export function describeServer(
  findDefinition: FindDefinition,
  models: Pick<ModelStore, "readContentLayers">,
): StreamHandler {
  return answering(questionShape, async (asked) => {
    const definition = await getHeldDefinition(findDefinition, asked);
    const layers = await models.readContentLayers(asked.name, "generate");
    return { kind: "described", definition: encodeDefinition(definition), layers };
  });
}

/**
 * The definition of a model, from a node that holds it; without paths. See {@link verifyDefinition} for what of it is more
 * than the holder's word.
 *
 * @throws UnavailableError `peer_lost`, also after 5 s; what the holder refused with; PeerError for nonsense, and for
 *   contents that are not the manifest's.
 */
export async function describeModel(
  parts: QuestionParts,
  peer: PeerAddress,
  entry: CatalogEntry,
): Promise<ModelDefinition> {
  const { manifestDigest } = entry;
  const opening = { purpose: DESCRIBE_PURPOSE, name: displayModelName(entry.name), manifestDigest };
  const told = await askPeer(parts, { peer, opening }, (message) => {
    const { definition, layers } = readAnswer(replyShape, "described", message);
    return { definition: decodeDefinition(definition, entry), layers };
  });
  return await verifyDefinition(told.definition, entry, told.layers);
}

/** @throws RequestError `model_not_found` when it is not whole here. */
export async function getHeldDefinition(
  find: FindDefinition,
  asked: ShapeOf<typeof questionShape>,
): Promise<ModelDefinition> {
  const definition = await find(asked);
  if (definition !== undefined) return definition;
  throw new RequestError("model_not_found", `model "${asked.name}" is not whole on this node`);
}
