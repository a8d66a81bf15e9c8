/**
 * The way into a template worker. It imports next to nothing, because the first request may wait for it.
 *
 * @module
 */
import { serveTemplates } from "./serve_templates.ts";

serveTemplates();
