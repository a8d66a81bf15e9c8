/**
 * What a stored model is: its layers read, checked and described. It never writes. Start reading in `model_definition.ts`.
 *
 * @module
 */
export {
  ContentReader,
  FactsCache,
  isLayerOf,
  type LayerKind,
  layerMediaType,
  layersOf,
  type ModelContent,
} from "./model_content.ts";
export {
  capabilitiesOf,
  CONFIG_MEDIA_TYPE,
  configOf,
  detailsOf,
  encodeModelConfig,
  type ModelConfig,
} from "./model_config.ts";
export {
  type DefinedTemplate,
  type DefinitionSources,
  knownCapabilities,
  type ModelDefinition,
  readFacts,
  RecentDefinitions,
  templateSourcesOf,
  verifyDefinition,
} from "./model_definition.ts";
export {
  type InspectedTemplate,
  type StoredTemplates,
  TemplateInspector,
} from "./template_inspector.ts";
