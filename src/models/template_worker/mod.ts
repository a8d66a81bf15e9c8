/**
 * Compiles and runs templates in processes of their own, which are ended when one takes more time or memory than a
 * template may: what comes with a model or a request must not hold up or end the node. `serve_templates.ts` is the
 * worker's side, `template_workers.ts` the node's.
 *
 * @module
 */
export { serveTemplates } from "./serve_templates.ts";
export {
  createTemplateWorkers,
  type TemplateOrigin,
  type TemplateOutcome,
  type TemplateWorkers,
} from "./template_workers.ts";
