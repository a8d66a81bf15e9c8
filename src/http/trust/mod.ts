/**
 * Whom the HTTP edge trusts with what: which names it answers to, which pages may ask, and who a request counts as. Knows
 * no endpoint. Start with `guard.ts`.
 *
 * @module
 */
export { canonicalAddress, isLoopback } from "./hosts.ts";
export { ownAddresses } from "./own_addresses.ts";
export {
  authorizationOf,
  authorize,
  type Authorized,
  type Caller,
  OWN_SENDER,
  ownerOf,
  type Sender,
  shownKey,
} from "./caller.ts";
export { Guard, type GuardRefusal } from "./guard.ts";
