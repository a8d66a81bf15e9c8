/**
 * Conversations with the cluster, which this browser keeps. Start with `send.ts`: how an answer is read, and read on where
 * the node that was asked is gone.
 *
 * @module
 */
export { isAnswering } from "./conversations.ts";
export { ChatView } from "./chat_view.tsx";
