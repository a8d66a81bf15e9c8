import type { NodeId, Random } from "../../base/mod.ts";
import type { LifeStamp, MemberClaim } from "../../protocol/mod.ts";
import type { MembershipEffect } from "./events.ts";
import type { Roster } from "./roster.ts";
import type { TimerFact, Timers } from "./timers.ts";
import type { MembershipTiming } from "./timing.ts";
import type { MemberValues } from "./values.ts";

/** This node as a member. */
export interface Self extends LifeStamp {
  readonly nodeId: NodeId;
  address: string;
  bootEpoch: number;
  incarnation: MemberClaim["incarnation"];
  /** True from the farewell on; a leaving node refutes nothing. */
  leaving: boolean;
  readonly values: MemberValues;
}

/** What the parts of membership work on together; owned by `Membership`. */
export interface Shared {
  readonly self: Self;
  readonly timing: MembershipTiming;
  readonly random: Random;
  readonly roster: Roster;
  readonly timers: Timers<TimerFact>;
  /** Milliseconds this node has been running: stands still while the process is stalled. */
  coreMs: number;
  /** The latest boot epoch that can be true, by this node's wall clock; {@link STAMP_MAX} while that is not known. */
  epochMax: number;
  /** Orders of the running step, in order. */
  effects: MembershipEffect[];
}

/** What this node says of itself. */
export function claimOfSelf(self: Self): MemberClaim {
  const { nodeId, address, bootEpoch, incarnation } = self;
  const standing = self.leaving ? "left" : "alive";
  return { nodeId, standing, bootEpoch, incarnation, address, accuser: undefined };
}
