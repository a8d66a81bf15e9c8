import type { JsonObject } from "../client/mod.ts";

/** How a model is asked and its answers are shown; `/set` changes it, the flags of `run` begin it. */
export interface RunSettings {
  /** Duration or seconds as text; undefined = the node's own. */
  readonly keepAlive: string | undefined;
  /** `json` or a JSON Schema; undefined = free text. */
  readonly format: string | JsonObject | undefined;
  readonly think: boolean | string | undefined;
  readonly showThinking: boolean;
  readonly verbose: boolean;
  readonly wordWrap: boolean;
  readonly history: boolean;
  readonly system: string | undefined;
  /** Options of the API that were set here. */
  readonly parameters: JsonObject;
}

/** The fields that every inference request shares. */
export function requestFields(settings: RunSettings): JsonObject {
  const { keepAlive, format, think, parameters } = settings;
  return {
    ...(keepAlive === undefined ? {} : { keep_alive: wireKeepAlive(keepAlive) }),
    ...(format === undefined ? {} : { format }),
    ...(think === undefined ? {} : { think }),
    ...(Object.keys(parameters).length === 0 ? {} : { options: parameters }),
  };
}

/** The API takes plain numbers as seconds and refuses them as text. */
function wireKeepAlive(text: string): string | number {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
