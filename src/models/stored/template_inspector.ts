import { BoundedCache } from "./bounded_cache.ts";
import {
  compileTemplate,
  type TemplateCapabilities,
  type TemplateSources,
} from "../template/mod.ts";

/** Inspections kept; listing many models would compile the same few templates again and again. */
const INSPECTIONS_MAX = 256;
const NO_CAPABILITIES: TemplateCapabilities = { tools: false, thinking: false, insert: false };

/** Tells what templates can express. */
export class TemplateInspector {
  readonly #preferGo: "always" | "unless_poorer";
  readonly #known = new BoundedCache<string, TemplateCapabilities>(INSPECTIONS_MAX);

  constructor(preferGo: "always" | "unless_poorer") {
    this.#preferGo = preferGo;
  }

  /** A template that doesn't compile can express nothing; whoever renders with it says why. */
  inspect(sources: Pick<TemplateSources, "goTemplate" | "jinjaTemplate">): TemplateCapabilities {
    const key = JSON.stringify([sources.goTemplate, sources.jinjaTemplate]);
    const known = this.#known.find(key);
    if (known) return known;
    const capabilities = this.#compile(sources);
    this.#known.put(key, capabilities);
    return capabilities;
  }

  #compile(sources: TemplateSources): TemplateCapabilities {
    try {
      return compileTemplate({ ...sources, preferGo: this.#preferGo }).capabilities;
    } catch {
      return NO_CAPABILITIES;
    }
  }
}
