import type { RaftRole, RaftView } from "../../../src/core/raft/mod.ts";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";

/** What can happen to a replica. */
export const EVENTS = [
  "append_request",
  "append_response",
  "heartbeat_request",
  "heartbeat_response",
  "snapshot_request",
  "vote_request",
  "vote_response",
  "timeout_now",
  "transfer_request",
  "proposal_forward",
  "read_index_request",
  "read_index_response",
  "voters_request",
  "voters_response",
  "tick",
  "propose",
  "read",
  "change",
  "transfer",
  "snapshot_report",
  "unreachable_report",
  "crash",
  "restart",
] as const;

/** One of {@link EVENTS}. */
export type ReplicaEvent = (typeof EVENTS)[number];

const ROLES: readonly RaftRole[] = ["follower", "pre_candidate", "candidate", "leader"];
const PHASES = ["single", "joint", "outside"] as const;
const SITUATIONS = ["quiet", ...FAULT_KINDS] as const;

type Phase = (typeof PHASES)[number];
type Situation = "quiet" | FaultKind;

/**
 * How often each (role, event, fault under way, phase of the configuration) occurred. Bucket counts say what the runs
 * never reached, which no number of green seeds does.
 */
export class Coverage {
  readonly #counts = new Uint32Array(
    ROLES.length * EVENTS.length * SITUATIONS.length * PHASES.length,
  );

  add(view: RaftView, event: ReplicaEvent, active: ReadonlySet<FaultKind>): void {
    const phase = phaseOf(view);
    if (!phasesOf(view.role).includes(phase)) return;
    if (active.size === 0) this.#count(view.role, event, "quiet", phase);
    for (const kind of active) this.#count(view.role, event, kind, phase);
  }

  merge(other: Coverage): void {
    for (const [bucket, count] of other.#counts.entries()) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    }
  }

  get hit(): number {
    return this.#counts.reduce((hit, count) => hit + (count > 0 ? 1 : 0), 0);
  }

  /** Buckets that a correct core can reach. */
  get possible(): number {
    const phases = ROLES.reduce((sum, role) => sum + phasesOf(role).length, 0);
    return phases * EVENTS.length * SITUATIONS.length;
  }

  /** Buckets never hit, one line per role, event and phase, with the faults under which it is missing. */
  missing(): string[] {
    const lines: string[] = [];
    for (const role of ROLES) {
      for (const event of EVENTS) {
        for (const phase of phasesOf(role)) {
          const absent = SITUATIONS.filter((situation) =>
            (this.#counts[bucketOf(role, event, situation, phase)] ?? 0) === 0
          );
          if (absent.length === 0) continue;
          const where = absent.length === SITUATIONS.length ? "never" : absent.join(", ");
          lines.push(`${role} x ${event} x ${phase}: ${where}`);
        }
      }
    }
    return lines;
  }

  #count(role: RaftRole, event: ReplicaEvent, situation: Situation, phase: Phase): void {
    const bucket = bucketOf(role, event, situation, phase);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }
}

const ROLE_NUMBERS = numbersOf(ROLES);
const EVENT_NUMBERS = numbersOf(EVENTS);
const SITUATION_NUMBERS = numbersOf(SITUATIONS);
const PHASE_NUMBERS = numbersOf(PHASES);

function numbersOf<T>(names: readonly T[]): ReadonlyMap<T, number> {
  return new Map(names.map((name, number) => [name, number]));
}

function bucketOf(
  ...[role, event, situation, phase]: [RaftRole, ReplicaEvent, Situation, Phase]
): number {
  const pair = (ROLE_NUMBERS.get(role) ?? 0) * EVENTS.length + (EVENT_NUMBERS.get(event) ?? 0);
  const triple = pair * SITUATIONS.length + (SITUATION_NUMBERS.get(situation) ?? 0);
  return triple * PHASES.length + (PHASE_NUMBERS.get(phase) ?? 0);
}

/** Who does not belong to the group neither campaigns nor leads. */
function phasesOf(role: RaftRole): readonly Phase[] {
  return role === "follower" ? PHASES : ["single", "joint"];
}

function phaseOf({ id, configuration }: RaftView): Phase {
  if (configuration.votersOutgoing.length > 0) return "joint";
  return configuration.voters.includes(id) ? "single" : "outside";
}
