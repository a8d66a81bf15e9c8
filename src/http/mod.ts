/**
 * The HTTP edge: shapes in, shapes out. It parses what clients send, asks the cluster client port, and words the
 * answers as the wire contract does. It never decides what should happen to a model or a request.
 * Start with `app.ts`, then one API family such as `ollama.ts`; `connections/` is where requests come in.
 *
 * @module
 */
export { drawId } from "./draw_id.ts";
export { createHttpApp, type HttpApp } from "./app.ts";
export { isLoopback, ownAddresses } from "./trust/mod.ts";
export type { HttpParts } from "./exchange.ts";
export type { Sender } from "./trust/mod.ts";
export type { HttpSettings } from "./settings.ts";
export { CONNECTION_TIMES, type HttpListener, listenHttp } from "./connections/mod.ts";
