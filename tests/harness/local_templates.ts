/**
 * Renders templates in this process, for tests that are not about the processes they run in.
 *
 * @module
 */
import { isEdgeError } from "../../src/base/mod.ts";
import { TemplateInspector, type TemplateWorkers } from "../../src/models/mod.ts";
import { compileTemplate } from "../../src/models/template/mod.ts";

/** The twin of a template worker. Nothing bounds what a template takes. */
export const LOCAL_TEMPLATES: TemplateWorkers = {
  run: (sources, input) => {
    try {
      const { render, ...traits } = compileTemplate(sources);
      const prompt = input === null ? undefined : render(input);
      return Promise.resolve({ kind: "answer", traits, prompt });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      return Promise.resolve({ kind: "refused", message: error.message });
    }
  },
  warm() {},
  close: () => Promise.resolve(),
};

/** An inspector without a file over {@link LOCAL_TEMPLATES}. */
export function localInspector(): TemplateInspector {
  return new TemplateInspector({ workers: LOCAL_TEMPLATES });
}
