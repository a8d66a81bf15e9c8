/**
 * Journals of answers on two nodes: the entry node's words go to a second one before a client sees them, and whoever has a
 * copy goes on with an answer whose node is gone. What an answer says is none of its business. Start with
 * `shared_journals.ts`.
 *
 * @module
 */
export { JournalServer } from "./journal_server.ts";
export { SharedJournals } from "./shared_journals.ts";
