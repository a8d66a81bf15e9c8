/**
 * Makes connections between nodes: dialing, listening, greeting, and which of two is kept. It never reads a frame past the hello.
 * Start reading in `quic_dialer.ts`.
 *
 * @module
 */
export { AddressHints } from "./address_hints.ts";
export { withDeadline } from "./deadline.ts";
export { DialBackoff } from "./dial_backoff.ts";
export { dialByAnchor, type DialEndpoint, openDialEndpoint } from "./dial_endpoint.ts";
export { seedDialer } from "./dial_seed.ts";
export type { GreetedDialer, GreetingParts, IncomingStreams } from "./greeting.ts";
export {
  closeConn,
  type DialOutcome,
  dialPeer,
  type DialTarget,
  LAST_WORDS_MS,
} from "./quic_dialer.ts";
export { MemberListener, type OtherCallers } from "./quic_listener.ts";
export { type Arrival, judgeArrival } from "./second_connection.ts";
