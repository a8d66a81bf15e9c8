/**
 * What a stored model is: its layers read, checked and described. It never writes. Start reading in `model_definition.ts`.
 *
 * @module
 */
export { FactsCache } from "./facts_cache.ts";
export { isLayerOf, type LayerKind, layerMediaType, layersOf } from "./layer_types.ts";
export { CONFIG_MEDIA_TYPE, encodeModelConfig, type ModelConfig } from "./model_config.ts";
export { ContentReader, type ModelContent } from "./model_content.ts";
export {
  type DefinedTemplate,
  type DefinitionSources,
  knownCapabilities,
  loadModelDefinition,
  type ModelDefinition,
  readFacts,
  templateSourcesOf,
  verifyDefinition,
} from "./model_definition.ts";
export { capabilitiesOf, configOf, detailsOf } from "./model_details.ts";
export { isOfType, type StoredParameters } from "./parameters.ts";
export {
  type InspectedTemplate,
  type StoredTemplates,
  TemplateInspector,
} from "./template_inspector.ts";
