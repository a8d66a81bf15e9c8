/**
 * Clients from afar on the port between nodes: requests and answers in frames. It never answers one itself. Start reading in
 * `serve_client.ts`.
 *
 * @module
 */
export { askRemote, type KnownMembers, type RemoteNode } from "./ask_remote.ts";
export { ClientDesk } from "./client_desk.ts";
export type { ClientHandler } from "./serve_client.ts";
