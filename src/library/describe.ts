import { RequestError } from "../base/mod.ts";
import type { ModelDefinition } from "../models/mod.ts";
import type { PeerAddress, PeerStream } from "../ports/mod.ts";
import {
  hashHexShape,
  objectShape,
  type ShapeOf,
  textShape,
  unionShape,
  unknownShape,
  wireErrorShape,
} from "../protocol/mod.ts";
import {
  answerPeer,
  askPeer,
  decodeDefinition,
  encodeDefinition,
  type QuestionParts,
  QUESTIONS_PER_PEER_MAX,
  readAnswer,
  required,
  type StreamHandler,
} from "../calls/mod.ts";

/** Streams that ask for a definition. */
export const DESCRIBE_PURPOSE = "describe";

const questionShape = objectShape({
  name: textShape(1024),
  manifestDigest: hashHexShape,
});
const replyShape = unionShape({
  described: objectShape({ definition: unknownShape }),
  refused: objectShape({ error: wireErrorShape }),
});

/** Finds this node's own definition of a model; undefined when it is not whole here. */
export type FindDefinition = (
  model: { readonly name: string; readonly manifestDigest: string },
) => Promise<ModelDefinition | undefined>;

/** Tells other nodes what a model is that they don't hold. */
export class DescribeServer implements StreamHandler {
  readonly streamsPerPeerMax = QUESTIONS_PER_PEER_MAX;
  readonly #findDefinition: FindDefinition;

  constructor(findDefinition: FindDefinition) {
    this.#findDefinition = findDefinition;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const asked = required(questionShape, opening);
    await answerPeer(stream, async () => {
      const definition = await getHeldDefinition(this.#findDefinition, asked);
      return { kind: "described", definition: encodeDefinition(definition) };
    });
  }
}

/**
 * The definition of a model, from a node that holds it; without paths.
 *
 * @throws UnavailableError `peer_lost`, also after 5 s; what the holder refused with; PeerError for nonsense.
 */
export async function describeModel(
  parts: QuestionParts,
  peer: PeerAddress,
  model: Pick<ModelDefinition, "name" | "manifestDigest"> & { readonly shownName: string },
): Promise<ModelDefinition> {
  const { manifestDigest, shownName: name } = model;
  const opening = { purpose: DESCRIBE_PURPOSE, name, manifestDigest };
  return await askPeer(parts, { peer, opening }, (message) => {
    const { definition } = readAnswer(replyShape, "described", message);
    return decodeDefinition(definition, model);
  });
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
