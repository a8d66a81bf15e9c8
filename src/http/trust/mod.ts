/**
 * Whom the HTTP edge trusts with what: which names it answers to, which pages may ask, and who a request counts as. Knows
 * no endpoint. Start with `guard.ts`.
 *
 * @module
 */
export { canonicalAddress, isLoopback } from "./addresses.ts";
export { authorizationOf, authorize, type Authorized } from "./authorize.ts";
export { Guard, type GuardRefusal } from "./guard.ts";
export { type Caller, OWN_SENDER, type Sender } from "./sender.ts";
