import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { GroupConfiguration, GroupStep } from "../../protocol/mod.ts";
import {
  nextLookMs,
  planVoters,
  survivesWithout,
  type VoterCandidate,
  VOTERS_DEFAULTS,
  type VotersPlan,
  type VotersState,
} from "./voters.ts";

const NOW_MS = 1_000_000;
const NODES = [..."123456789"].map((digit) => digit.repeat(16) as NodeId);
const [A, B, C, D, E] = NODES as [NodeId, NodeId, NodeId, NodeId, NodeId];

function group(
  voters: readonly NodeId[],
  learners: readonly NodeId[] = [],
): GroupConfiguration {
  return { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
}

function member(nodeId: NodeId, facts: Partial<VoterCandidate> = {}): VoterCandidate {
  return { nodeId, standing: "alive", sinceMs: 0, duty: "serving", ...facts };
}

/** All learners are caught up unless a test says otherwise. */
function plan(
  configuration: GroupConfiguration,
  members: readonly VoterCandidate[],
  facts: Partial<VotersState> = {},
): VotersPlan {
  const { learners: caughtUp } = configuration;
  const state = { self: A, configuration, members, caughtUp, nowMs: NOW_MS, ...facts };
  return planVoters(state, VOTERS_DEFAULTS);
}

function stepsOf(planned: VotersPlan): readonly GroupStep[] {
  if (planned.kind !== "change") throw new Error(`not a change: ${planned.kind}`);
  return planned.change.steps;
}

const alive = (...nodes: NodeId[]) => nodes.map((node) => member(node));

Deno.test("A lone node votes, a second member learns, and two do not vote", () => {
  assert.deepEqual(plan(group([A]), alive(A)), { kind: "none" });
  assert.deepEqual(stepsOf(plan(group([A]), alive(A, B))), [{ action: "add_learner", node: B }]);
  assert.deepEqual(plan(group([A], [B]), alive(A, B)), { kind: "none" });
});

Deno.test("Of three members all vote, of four three, of five all, of nine five", () => {
  assert.deepEqual(stepsOf(plan(group([A], [B, C]), alive(A, B, C))), [
    { action: "add_voter", node: B },
    { action: "add_voter", node: C },
  ]);
  assert.deepEqual(plan(group([A, B, C], [D]), alive(A, B, C, D)), { kind: "none" });
  assert.deepEqual(stepsOf(plan(group([A, B, C], [D, E]), alive(A, B, C, D, E))), [
    { action: "add_voter", node: D },
    { action: "add_voter", node: E },
  ]);
  const rest = NODES.slice(5);
  assert.deepEqual(plan(group([A, B, C, D, E], rest), alive(...NODES)), { kind: "none" });
});

Deno.test("A learner is promoted only when it is caught up and has been alive for a while", () => {
  const three = group([A], [B, C]);
  assert.deepEqual(plan(three, alive(A, B, C), { caughtUp: [B] }), { kind: "none" });
  const fresh = member(C, { sinceMs: NOW_MS - VOTERS_DEFAULTS.settleMs + 1 });
  assert.deepEqual(plan(three, [...alive(A, B), fresh]), { kind: "none" });
  const doubted = member(C, { standing: "suspect" });
  assert.deepEqual(plan(three, [...alive(A, B), doubted]), { kind: "none" });
});

Deno.test("A voter that is down for long enough gives its vote to a learner", () => {
  const voters = group([A, B, C], [D]);
  const downFor = (ms: number) => member(C, { standing: "down", sinceMs: NOW_MS - ms });
  assert.deepEqual(plan(voters, [...alive(A, B, D), downFor(59_999)]), { kind: "none" });
  assert.deepEqual(stepsOf(plan(voters, [...alive(A, B, D), downFor(60_000)])), [
    { action: "add_voter", node: D },
    { action: "add_learner", node: C },
  ]);
});

Deno.test("A voter that said goodbye is replaced sooner, but not within a restart", () => {
  const voters = group([A, B, C], [D]);
  const leftFor = (ms: number) => member(C, { standing: "left", sinceMs: NOW_MS - ms });
  assert.deepEqual(plan(voters, [...alive(A, B, D), leftFor(14_999)]), { kind: "none" });
  assert.equal(stepsOf(plan(voters, [...alive(A, B, D), leftFor(15_000)])).length, 2);
});

Deno.test("Without a learner in its place one dead voter of three keeps its vote", () => {
  const dead = member(C, { standing: "down" });
  assert.deepEqual(plan(group([A, B, C]), [...alive(A, B), dead]), { kind: "none" });
});

Deno.test("Of five voters with two dead the three others stay: they survive one more death", () => {
  const dead = [member(D, { standing: "down" }), member(E, { standing: "down" })];
  const steps = stepsOf(plan(group([A, B, C, D, E]), [...alive(A, B, C), ...dead]));
  assert.deepEqual(steps, [
    { action: "add_learner", node: D },
    { action: "add_learner", node: E },
  ]);
  const one = [...alive(A, B, C, D), member(E, { standing: "down" })];
  assert.deepEqual(plan(group([A, B, C, D, E]), one), { kind: "none" });
});

Deno.test("Nothing is changed while no quorum of the voters is known to live", () => {
  const dead = [member(B, { standing: "down" }), member(C, { standing: "down" })];
  assert.deepEqual(plan(group([A, B, C], [D, E]), [...alive(A, D, E), ...dead]), { kind: "none" });
});

Deno.test("A member the catalogue no longer admits leaves the group at once", () => {
  assert.deepEqual(stepsOf(plan(group([A, B, C], [D]), alive(A, B, C))), [
    { action: "remove", node: D },
  ]);
  assert.deepEqual(stepsOf(plan(group([A, B, C], [D]), alive(A, B, D))), [
    { action: "add_voter", node: D },
    { action: "remove", node: C },
  ]);
  // Two members are left: one votes.
  assert.deepEqual(stepsOf(plan(group([A, B, C]), alive(A, B))), [
    { action: "add_learner", node: B },
    { action: "remove", node: C },
  ]);
});

Deno.test("A leader that must go hands over first (thesis, 3.10)", () => {
  const leaving = member(A, { duty: "leaving" });
  assert.deepEqual(plan(group([A, B, C]), [leaving, ...alive(B, C)]), { kind: "transfer", to: B });
  // Removed from the catalogue, as after `member remove` on another node.
  assert.deepEqual(plan(group([A, B, C], [D]), alive(B, C, D)), { kind: "transfer", to: B });
  // Doubted heirs are passed over.
  const doubted = member(B, { standing: "suspect" });
  assert.deepEqual(plan(group([A, B, C], [D]), [doubted, ...alive(C, D)]), {
    kind: "transfer",
    to: C,
  });
});

Deno.test("The only voter makes a second one before it hands over and goes", () => {
  const members = [member(A, { duty: "leaving" }), member(B)];
  const first = plan(group([A], [B]), members);
  assert.deepEqual(stepsOf(first), [{ action: "add_voter", node: B }]);
  assert.deepEqual(plan(group([A, B]), members), { kind: "transfer", to: B });
  const last = plan(group([A, B]), members, { self: B });
  assert.deepEqual(stepsOf(last), [{ action: "add_learner", node: A }]);
});

Deno.test("A leaving leader keeps its seat until another voter can lead", () => {
  const members = [member(A, { duty: "leaving" }), ...alive(B, C, D)];
  assert.deepEqual(stepsOf(plan(group([A], [B, C, D]), members)), [
    { action: "add_voter", node: B },
    { action: "add_voter", node: C },
  ]);
});

Deno.test("A drained voter votes on until a learner can take its place", () => {
  const drained = member(C, { duty: "drained" });
  assert.deepEqual(plan(group([A, B, C]), [...alive(A, B), drained]), { kind: "none" });
  assert.deepEqual(stepsOf(plan(group([A, B, C], [D]), [...alive(A, B, D), drained])), [
    { action: "add_voter", node: D },
    { action: "add_learner", node: C },
  ]);
});

Deno.test("A joint configuration is waited for, or left when nobody else will", () => {
  const joint = { ...group([A, B, C]), votersOutgoing: [A] };
  assert.deepEqual(plan({ ...joint, autoLeave: true }, alive(A, B)), { kind: "none" });
  const left = plan(joint, alive(A, B));
  assert.deepEqual(stepsOf(left), []);
});

Deno.test("The next look is when a standing has lasted long enough", () => {
  const state = {
    self: A,
    configuration: group([A, B, C]),
    caughtUp: [],
    nowMs: NOW_MS,
    members: [
      member(A),
      member(B, { standing: "down", sinceMs: NOW_MS - 10_000 }),
      member(C, { standing: "left", sinceMs: NOW_MS - 10_000 }),
    ],
  } as const;
  assert.equal(nextLookMs(state, VOTERS_DEFAULTS), NOW_MS + 5_000);
  assert.equal(nextLookMs({ ...state, members: [member(A)] }, VOTERS_DEFAULTS), undefined);
});

Deno.test("A voter can be spared when a quorum lives without it, a learner always", () => {
  const living = (...nodes: NodeId[]) => (node: NodeId) => nodes.includes(node);
  assert.equal(survivesWithout(group([A, B, C]), C, living(A, B, C)), true);
  assert.equal(survivesWithout(group([A, B, C]), C, living(A, C)), false);
  assert.equal(survivesWithout(group([A, B, C]), B, living(A, C)), true);
  assert.equal(survivesWithout(group([A], [B]), A, living(A, B)), false);
  assert.equal(survivesWithout(group([A], [B]), B, living(A)), true);
  const joint = { ...group([A, B, C]), votersOutgoing: [C] };
  assert.equal(survivesWithout(joint, C, living(A, B, C)), false);
});

Deno.test("No plan is made of voters that are there twice", () => {
  assert.throws(() => plan(group([A, B, B]), alive(A, B, C)), { name: "InvariantError" });
});

Deno.test("Who left its vote when it stopped gets it back before others that can't all have one", () => {
  const back = member(A, { claims: true });
  const seen = { self: B };
  const asked = plan(group([B], [A]), [back, member(B)], seen);
  assert.deepEqual(stepsOf(asked), [{ action: "add_voter", node: A }]);
  assert.deepEqual(plan(group([B, A]), [back, member(B)], seen), { kind: "transfer", to: A });
  assert.deepEqual(stepsOf(plan(group([B, A]), [back, member(B)])), [
    { action: "add_learner", node: B },
  ]);
});

Deno.test("Whoever is away claims nothing, and of two claims the leader's goes first", () => {
  const away = member(A, { claims: true, standing: "left" });
  assert.deepEqual(plan(group([B], [A]), [away, member(B)], { self: B }), { kind: "none" });
  const both = [member(A, { claims: true }), member(B, { claims: true })];
  assert.deepEqual(plan(group([B], [A]), both, { self: B }), { kind: "none" });
});
