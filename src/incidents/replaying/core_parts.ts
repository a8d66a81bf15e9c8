import { errorMessage, Random, type StateKeeper } from "../../base/mod.ts";
import { type AnswerFact, AnswerMachine, type AnswerWish } from "../../core/answers/mod.ts";
import {
  Membership,
  type MembershipEvent,
  type MembershipOptions,
} from "../../core/membership/mod.ts";
import type { RaftOptions } from "../../core/raft/mod.ts";
import { type RaftCall, ReplayedRaft } from "../../core/raft_calls/mod.ts";
import { planVoters, type VotersOptions, type VotersState } from "../../core/catalogue/mod.ts";
import {
  type Observation,
  Scheduler,
  type SchedulerEvent,
  type SchedulerOptions,
} from "../../core/scheduler/mod.ts";
import type { RecordedPart } from "../../ports/mod.ts";

/** A part of the core that steps again through what it was told. */
export interface SteppedPart {
  /** Absent = it has no state but what its steps make. */
  keep?(keeper: StateKeeper): void;
  step(input: unknown): unknown;
}

/** The shipped core, by part. What a file says of options and inputs is believed: nonsense makes a step throw. */
const MAKERS: Partial<Record<RecordedPart, (options: unknown) => SteppedPart>> = {
  scheduler(options) {
    const scheduler = new Scheduler(options as SchedulerOptions);
    return {
      keep: (keeper) => scheduler.keep(keeper),
      step(input) {
        const { event, observed } = input as { event: SchedulerEvent; observed: Observation };
        return scheduler.step(event, observed);
      },
    };
  },
  membership(options) {
    // Whatever it draws with at first: its state has the generators in it.
    const membership = new Membership(options as MembershipOptions, new Random(0));
    return {
      keep: (keeper) => membership.keep(keeper),
      step: (input) => membership.step(input as MembershipEvent),
    };
  },
  raft(options) {
    const raft = new ReplayedRaft(options as RaftOptions);
    return { keep: (keeper) => raft.keep(keeper), step: (input) => raft.call(input as RaftCall) };
  },
  voters() {
    return {
      step(input) {
        const { state, options } = input as { state: VotersState; options: VotersOptions };
        return planVoters(state, options);
      },
    };
  },
  answer(options) {
    const machine = new AnswerMachine(options as AnswerWish);
    return { step: (input) => machine.step(input as AnswerFact) };
  },
};

/** @throws when this program has no such part. */
export function makePart(part: string, options: unknown): SteppedPart {
  const make = Object.hasOwn(MAKERS, part) ? MAKERS[part as RecordedPart] : undefined;
  if (make === undefined) throw new TypeError(`This program has no part "${part}"`);
  return make(options);
}

/** A step's orders, or how it failed. */
export function stepPart(part: SteppedPart, input: unknown): unknown {
  try {
    return part.step(input);
  } catch (error) {
    return { threw: errorMessage(error) };
  }
}
