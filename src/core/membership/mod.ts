/**
 * Who is alive: SWIM (Das, Gupta, Motivala 2002) with the three parts of Lifeguard (Dadgar, Phillips, Currey 2017) as one
 * pure value. Knows no clock, socket or disk; decides nothing about quorums. Start with `membership.ts`; `judge.ts`
 * holds the rules of belief, `prober.ts` the probes, `timing.ts` every limit.
 *
 * @module
 */
export type {
  Contact,
  HeartbeatWatch,
  MembershipEffect,
  MembershipEvent,
  MemberView,
} from "./events.ts";
export { Membership, type MembershipOptions, type MembershipView } from "./membership.ts";
export { MEMBERSHIP_PRESETS, type MembershipTiming } from "./timing.ts";
export type { ValueRefusal } from "./values.ts";
