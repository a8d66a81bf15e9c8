import type { Random } from "../../../src/base/mod.ts";

/** What can go wrong with one node. */
export const FAULT_KINDS = [
  "kill_runner",
  "hang_runner",
  "crash_node",
  "hang_node",
  "cut_off",
  "cut_one_way",
  "slander",
  "drain",
  "stop_admitting",
  "fail_load",
  "client_leaves",
] as const;

/** One of {@link FAULT_KINDS}. */
export type FaultKind = typeof FAULT_KINDS[number];

/** One fault of a plan. */
export interface Fault {
  readonly kind: FaultKind;
  /** At a time, or just before the n-th step of any request's machine. */
  readonly at:
    | { readonly kind: "time"; readonly ms: number }
    | { readonly kind: "step"; readonly count: number };
  /** Which node; undefined = the one that serves the request which steps. */
  readonly node: number | undefined;
  readonly lastsMs: number;
}

/** Faults of one run, drawn from its seed. */
export function drawFaults(
  random: Random,
  run: { readonly nodes: number; readonly steps: number; readonly spanMs: number },
): readonly Fault[] {
  // Now and then nothing but runners that die, one after the other.
  const isStorm = random.chance(1, 8);
  return Array.from({ length: isStorm ? random.between(10, 40) : random.between(1, 9) }, () => {
    const isStep = random.chance(3, 4);
    const step = random.below(run.steps);
    const ms = random.below(run.spanMs);
    const node = random.below(run.nodes);
    return {
      kind: isStorm ? "kill_runner" : random.pick(FAULT_KINDS) ?? "kill_runner",
      at: isStep ? { kind: "step", count: step } : { kind: "time", ms },
      node: isStep && random.chance(2, 3) ? undefined : node,
      lastsMs: random.between(200, 9_000),
    };
  });
}
