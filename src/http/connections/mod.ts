/**
 * Where requests come in: sockets, who may have one and for how long, and the way from Node's HTTP server to the classes of
 * the web platform and back. It knows no endpoint. Start reading in `listen.ts`.
 *
 * @module
 */
export type { AnswerRequest } from "./connection.ts";
export { CONNECTION_TIMES, type ConnectionLimits } from "./limits.ts";
export { type HttpListener, listenHttp, type ListenParts } from "./listen.ts";
