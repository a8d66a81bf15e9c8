/**
 * Responses that clients may come back for: a bounded folder of them on this node, and the same on one other node; and what
 * nodes ask each other about work for clients. What a response says is none of its business. Start with
 * `shared_responses.ts`.
 *
 * @module
 */
export { JournalServer, SharedJournals } from "./journals/mod.ts";
export { ResponseFolder } from "./response_folder.ts";
export { ResponseServer } from "./response_server.ts";
export { type ResponseMember, SharedResponses } from "./shared_responses.ts";
export { PeersWork } from "./work_elsewhere.ts";
export { WorkServer } from "./work_server.ts";
