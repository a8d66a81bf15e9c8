/**
 * Models on top of the blob store and the catalog: what they are made of, listing, showing, creating, copying, deleting,
 * and moving them from and to registries. Never runs one, and never touches a disk but through the ports. Start with
 * `model_store.ts`; `gguf/` reads weights files, `template/` turns conversations into prompts.
 *
 * @module
 */
export { ensureEmbeddedModel } from "./embedded_model.ts";
export type { GgufFacts } from "./gguf/mod.ts";
export {
  type DefinedTemplate,
  type InspectedTemplate,
  type ModelDefinition,
  TemplateInspector,
  verifyDefinition,
} from "./stored/mod.ts";
export { blobsOf } from "./blob_holds.ts";
export { Exclusive } from "./exclusive.ts";
export type { Asker } from "./model_reference.ts";
export {
  type AwayHolders,
  type Described,
  holdersLost,
  type ModelsElsewhere,
} from "./models_elsewhere.ts";
export { createImageFetcher } from "./registry/mod.ts";
export { createModelStore, type ModelStore, type ModelStoreOptions } from "./model_store.ts";
export type {
  PromptInput,
  RenderedPrompt,
  TemplateCapabilities,
  TemplateSources,
  TemplateTraits,
} from "./template/mod.ts";
export {
  createTemplateWorkers,
  type TemplateOrigin,
  type TemplateOutcome,
  type TemplateWorkers,
} from "./template_worker/mod.ts";
export {
  type OptionDefaults,
  type ResolvedLoad,
  type ResolvedOptions,
  resolveOptions,
} from "./options.ts";
export { familyById, unknownNames } from "./families/mod.ts";
export type { LineRule } from "./modelfile/mod.ts";
export { readModelLayers } from "./gguf/mod.ts";
export { UploadQuota } from "./upload_quota.ts";
export { StalledError } from "./waiting.ts";
