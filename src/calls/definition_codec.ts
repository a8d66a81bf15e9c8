import type { ModelDefinition } from "../models/mod.ts";
import {
  arrayShape,
  booleanShape,
  choiceShape,
  integerShape,
  maybeShape,
  nullableShape,
  numberShape,
  objectShape,
  textShape,
} from "../protocol/mod.ts";
import { required } from "./lease_messages.ts";

/** Characters of one text of a model: templates and system texts are bounded where they are read from disk. */
const TEXT_CHARS_MAX = 4 * 1024 * 1024;
const LIST_MAX = 4096;

const text = textShape(TEXT_CHARS_MAX);
const label = textShape(1024);
const count = numberShape(0);
const labels = arrayShape(label, LIST_MAX);

/** Options of contract 1.7, as a model or a request sets them. */
export const requestOptionsShape = objectShape({
  numCtx: maybeShape(numberShape()),
  numBatch: maybeShape(numberShape()),
  numGpu: maybeShape(numberShape()),
  mainGpu: maybeShape(numberShape()),
  useMmap: maybeShape(booleanShape),
  shard: maybeShape(booleanShape),
  numThread: maybeShape(numberShape()),
  numKeep: maybeShape(numberShape()),
  numPredict: maybeShape(numberShape()),
  seed: maybeShape(numberShape()),
  temperature: maybeShape(numberShape()),
  topK: maybeShape(numberShape()),
  topP: maybeShape(numberShape()),
  minP: maybeShape(numberShape()),
  typicalP: maybeShape(numberShape()),
  repeatLastN: maybeShape(numberShape()),
  repeatPenalty: maybeShape(numberShape()),
  presencePenalty: maybeShape(numberShape()),
  frequencyPenalty: maybeShape(numberShape()),
  stop: maybeShape(arrayShape(text, LIST_MAX)),
});

const config = objectShape({
  format: label,
  family: label,
  families: labels,
  parameterSize: label,
  quantization: label,
  renderer: maybeShape(label),
  parser: maybeShape(label),
  requires: maybeShape(label),
  remoteHost: maybeShape(label),
  remoteModel: maybeShape(label),
  capabilities: labels,
  contextLength: maybeShape(count),
  embeddingLength: maybeShape(count),
});

const factsShape = objectShape({
  kind: choiceShape(["model", "adapter", "projector"]),
  architecture: label,
  parameterCount: count,
  quantization: label,
  contextLength: count,
  embeddingLength: count,
  blockCount: count,
  kvHeads: count,
  keyValueLength: count,
  vocabularyTokens: count,
  weightsBytes: count,
  hasPooling: booleanShape,
  hasVision: booleanShape,
  hasAudio: booleanShape,
  chatTemplate: maybeShape(text),
  split: maybeShape(objectShape({ index: integerShape(0), count: integerShape(1) })),
});

const details = objectShape({
  parentModel: label,
  format: label,
  family: label,
  families: nullableShape(labels),
  parameterSize: label,
  quantizationLevel: label,
  contextLength: maybeShape(count),
  embeddingLength: maybeShape(count),
});

/** What the holder found out about the template, so that nobody else has to. */
const inspectedShape = objectShape({
  traits: objectShape({
    kind: choiceShape(["go", "jinja", "none"]),
    family: maybeShape(label),
    known: maybeShape(label),
    capabilities: objectShape({
      tools: booleanShape,
      thinking: booleanShape,
      insert: booleanShape,
    }),
    toolCallTag: label,
    thinkingTags: maybeShape(objectShape({ open: label, close: label })),
  }),
  failure: maybeShape(text),
});

/** Everything of a definition but its paths, which mean nothing on another node, and what the asking node knows. */
const definitionShape = objectShape({
  weightsBytes: count,
  template: objectShape({
    goTemplate: maybeShape(text),
    jinjaTemplate: maybeShape(text),
    renderer: maybeShape(label),
    parser: maybeShape(label),
    architecture: maybeShape(label),
    inspected: maybeShape(inspectedShape),
  }),
  system: text,
  parameters: requestOptionsShape,
  messages: arrayShape(objectShape({ role: label, content: text }), LIST_MAX),
  config,
  facts: factsShape,
  details,
  capabilities: labels,
});

/** A definition as it is sent. */
export function encodeDefinition(definition: ModelDefinition): object {
  const { weightsBytes, template, system, parameters, messages, config, facts } = definition;
  const { details, capabilities } = definition;
  return {
    weightsBytes,
    template,
    system,
    parameters,
    messages,
    config,
    facts,
    details,
    capabilities,
  };
}

/**
 * A definition without paths, which tells that the model is not here.
 *
 * @throws PeerError `malformed_frame`.
 */
export function decodeDefinition(
  value: unknown,
  model: Pick<ModelDefinition, "name" | "manifestDigest">,
): ModelDefinition {
  const { facts, ...sent } = required(definitionShape, value);
  return {
    ...sent,
    name: model.name,
    manifestDigest: model.manifestDigest,
    facts: { ...facts, chatTemplate: facts.chatTemplate, split: facts.split },
    modelPath: "",
    adapterPaths: [],
    projectorPath: undefined,
    // The manifest tells, which whoever asks holds.
    projectorBytes: 0,
  };
}
