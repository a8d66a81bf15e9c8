import type { ShownModel, ShowRequest } from "../ports/mod.ts";
import {
  arrayShape,
  booleanShape,
  hashHexShape,
  maybeShape,
  nullableShape,
  numberShape,
  objectShape,
  type Shape,
  textShape,
  unionShape,
  unknownShape,
  wireErrorShape,
} from "../protocol/mod.ts";
import { requestOptionsShape } from "./definition_codec.ts";

/** What the first frame of a stream that asks for a model's `show` says it is for. */
export const SHOW_PURPOSE = "show";

const TEXT_CHARS_MAX = 32 * 1024 * 1024;
const LIST_MAX = 1_000_000;

const text = textShape(TEXT_CHARS_MAX);
const texts = arrayShape(text, LIST_MAX);
const count = numberShape(0);

/** First frame: {@link ShowRequest}, of a manifest that the asked node holds under this name. */
export const showOpeningShape: Shape<ShowRequest & { readonly manifestDigest: string }> =
  objectShape({
    model: textShape(1024),
    manifestDigest: hashHexShape,
    verbose: booleanShape,
    system: maybeShape(text),
    options: requestOptionsShape,
  });

/** The answer, as a message. */
export const showAnswerShape = unionShape({
  /** {@link ShownModel} as JSON: it ends as JSON in any case, and holds what only JSON's own types can be. */
  shown: objectShape({ json: text }),
  refused: objectShape({ error: wireErrorShape }),
});

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};

/** An object of anything. */
const recordShape: Shape<Readonly<Record<string, unknown>>> = {
  read: (value, path) => fields(unknownShape.read(value, path)),
};

/** What a peer says that `show` says. */
export const shownModelShape: Shape<ShownModel> = objectShape({
  license: maybeShape(text),
  modelfile: maybeShape(text),
  parameters: maybeShape(text),
  template: maybeShape(text),
  system: maybeShape(text),
  details: objectShape({
    parentModel: text,
    format: text,
    family: text,
    families: nullableShape(texts),
    parameterSize: text,
    quantizationLevel: text,
    contextLength: maybeShape(count),
    embeddingLength: maybeShape(count),
  }),
  messages: maybeShape(arrayShape(objectShape({ role: text, content: text }), LIST_MAX)),
  modelInfo: recordShape,
  projectorInfo: maybeShape(recordShape),
  tensors: maybeShape(
    arrayShape(
      objectShape({ name: text, type: text, shape: arrayShape(count, 16) }),
      LIST_MAX,
    ),
  ),
  capabilities: texts,
  modifiedAtMs: numberShape(),
  requires: maybeShape(text),
});
