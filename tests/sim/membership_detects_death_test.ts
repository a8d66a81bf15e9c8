import assert from "node:assert/strict";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { MembershipWorld } from "./membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;

const RUNS = 150;

for (const lossPercent of [0, 10]) {
  Deno.test(`Membership of 10 suspects a dead node within 1 s and removes it within 3 s (p99, ${lossPercent} % loss)`, () => {
    const suspectedMs: number[] = [];
    const removedMs: number[] = [];
    for (let seed = 1; seed <= RUNS; seed++) {
      const found = timeOneDeath({ seed, lossPercent });
      suspectedMs.push(found.suspectedMs);
      removedMs.push(found.removedMs);
    }
    assert.ok(percentile(suspectedMs, 99) <= 1_000, `suspected p99 ${percentile(suspectedMs, 99)}`);
    assert.ok(percentile(removedMs, 99) <= 3_000, `removed p99 ${percentile(removedMs, 99)}`);
  });
}

/** Milliseconds from a death to the first suspicion and to the last survivor's verdict. */
function timeOneDeath(options: { seed: number; lossPercent: number }) {
  const world = new MembershipWorld({ ...options, nodeCount: 10, timing });
  // Given a settled cluster, at any phase of its probes.
  world.advance(3_000 + (options.seed * 37) % timing.probeIntervalMs);
  world.changes.length = 0;
  const victim = world.node(options.seed % 10);
  const diedMs = world.nowMs;
  world.crash(victim.index);
  const verdicts = () =>
    world.changes.filter((change) =>
      change.subject === victim.nodeId && change.standing === "down"
    );
  assert.ok(world.until(20_000, () => verdicts().length === 9), `seed ${options.seed}`);
  const doubt = world.changes.find((change) => change.subject === victim.nodeId);
  return {
    suspectedMs: (doubt?.atMs ?? Infinity) - diedMs,
    removedMs: Math.max(...verdicts().map((change) => change.atMs)) - diedMs,
  };
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? NaN;
}
