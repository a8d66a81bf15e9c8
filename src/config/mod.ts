/**
 * The one schema of every option, and how flags, environment, file and defaults become one frozen {@link Config}.
 * Starts nothing and decides nothing but which value wins. Start with `schema.ts`.
 *
 * @module
 */
export { migrateConfigFile, readConfig } from "./config_file.ts";
export { formatHost, type HostAddress } from "./host_address.ts";
export {
  type ConfigSources,
  describeConfig,
  type LoadedConfig,
  type Origin,
} from "./load_config.ts";
export { flagOf, type OptionSpec, variableOf } from "./option_spec.ts";
export { PASSED_OVER_VARIABLES } from "./ollama_variables.ts";
export { formatRange, parseBytes } from "./parse_option.ts";
export { type Config, type ConfigSlice, type OptionName, OPTIONS, RELATIONS } from "./schema.ts";
