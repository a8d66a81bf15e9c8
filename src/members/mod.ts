/**
 * Drives gossip and the voters: who is alive, where they are, and who should vote. It never serves a request. Start reading in
 * `membership_driver.ts`.
 *
 * @module
 */
export { apiOrigin } from "./api_origin.ts";
export { Gossip, type GossipParts } from "./gossip.ts";
export { MembershipDriver, type MembershipFailure, openMembership } from "./membership_driver.ts";
export { PeerBook } from "./peer_book.ts";
export { VoteHandover } from "./vote_handover.ts";
export { VotersDriver } from "./voters_driver.ts";
export { openSleeping, openWaking, type Sleeping, type WakeDriver } from "./sleeping/mod.ts";
export { SchemaRaiser } from "./schema_raiser.ts";
export { type LoadedElsewhere, MemberViews } from "./member_views.ts";
