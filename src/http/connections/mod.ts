/**
 * Watches the connections that requests came over. It never reads a request. Start reading in `peer_watch.ts`.
 *
 * @module
 */
export { CONNECTION_TABLES, PeerWatch } from "./peer_watch.ts";
