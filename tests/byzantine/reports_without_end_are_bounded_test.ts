import assert from "node:assert/strict";
import type { Digest } from "../../src/base/mod.ts";
import { REPORTS_AT_ONCE_MAX } from "../../src/core/catalogue/sessions.ts";
import { encodeCommand, encodeRaftFrames } from "../../src/protocol/mod.ts";
import { NodeWorld, putSetting } from "../harness/node_world.ts";

const LIES = 1_000;
/** Virtual milliseconds between lies: a node takes only so many frames at a time. */
const GAP_MS = 10;
const GAP_LIES = 50;

Deno.test("A member that puts a thousand copies of another under doubt is named, and heard sixteen times", async () => {
  await using world = await NodeWorld.start(3);
  const leader = await world.elected();
  const [liar = 0, victim = 0] = world.numbers.filter((number) => number !== leader);
  const { nodeId } = world.machine(victim);
  // It would take them back: it has no such copy.
  world.crash(victim);
  const ends = { from: world.machine(liar).nodeId, to: world.machine(leader).nodeId };
  for (let lie = 0; lie < LIES; lie++) {
    const digest = `sha256:${lie.toString(16).padStart(64, "0")}` as Digest;
    const command = { kind: "quarantine_blob", digest, nodeId, reason: "rot", atMs: 1 } as const;
    const data = encodeCommand({ command, request: undefined });
    const proposals = [{ kind: "command", data }] as const;
    for (const frame of encodeRaftFrames([{ ...ends, kind: "proposal_forward", proposals }])) {
      world.group(leader).receive(ends.from, frame);
    }
    if (lie % GAP_LIES === 0) await world.advance(GAP_MS);
  }
  await world.advance(2_000);
  assert.equal(world.group(leader).catalogue.quarantine().length, REPORTS_AT_ONCE_MAX);
  const { samples, lines } = world.machine(leader).telemetry;
  const refused = samples.filter(({ name }) => name === "odist_raft_refused_total");
  assert.equal(refused.length, LIES - REPORTS_AT_ONCE_MAX);
  const [first] = lines.filter(({ event }) => event === "raft_message_refused");
  assert.equal(first?.values.from, ends.from);
  // It is a member like any other in what else it changes.
  await world.propose(putSetting("of.liar", "after"), liar);
  await world.converged();
});
