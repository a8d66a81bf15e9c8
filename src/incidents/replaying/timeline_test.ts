import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { ReplayedStep } from "./replay.ts";
import { momentOf, timelineText } from "./timeline.ts";

const [ADA, BOB] = ["ada", "bob"].map((name) => ({
  ...{ nodeId: `${name}0123456789` as NodeId, name, version: "1.0.0" },
})) as [ReplayedStep["node"], ReplayedStep["node"]];

function stepOf(
  part: string,
  orders: readonly object[],
  more: Partial<ReplayedStep> = {},
): ReplayedStep {
  const recorded = orders.map((order) => JSON.stringify(order));
  return {
    ...{ node: ADA, part, id: "", atMs: 1, input: { kind: "woke" }, recorded, replayed: undefined },
    ...more,
  };
}

const standing = (nodeId: string, member: string, previous?: string) => ({
  ...{ kind: "member_changed", nodeId, member: { standing: member } },
  ...(previous === undefined ? {} : { previous }),
});

Deno.test("elections, doubts, deaths, returns, moves and losses are told of all that was decided", () => {
  const told = (step: ReplayedStep) => {
    const moment = momentOf(step, [ADA, BOB]);
    return moment && `${moment.kind}: ${moment.text}`;
  };
  const loss = (decision: string, nodeId?: string) =>
    stepOf("answer", [{ kind: "report_loss", decision, nodeId, tokens: 3 }], { id: "r1" });
  assert.deepEqual(
    [
      stepOf("raft", [{ softState: { role: "leader" }, readStates: [] }]),
      stepOf("membership", [{ kind: "wake_at" }, standing(BOB.nodeId, "suspect", "alive")]),
      stepOf("membership", [standing(BOB.nodeId, "down", "suspect")]),
      stepOf("membership", [standing(BOB.nodeId, "alive", "down")]),
      stepOf("membership", [standing("4711471147114711", "down", "suspect")]),
      loss("resume", BOB.nodeId),
      loss("give_up"),
      stepOf("scheduler", [], { input: { event: { kind: "runner_exited" }, observed: {} } }),
    ].map(told),
    [
      "election: ada leads",
      "doubt: ada doubts that bob is alive",
      "death: ada takes bob to be dead",
      "return: ada hears bob again",
      "death: ada takes 47114711 to be dead",
      "move: an answer of ada lost its runner on bob and goes on: r1",
      "loss: an answer of ada lost its runner and is given up: r1",
      "loss: a runner of ada ended",
    ],
  );
  const quiet = [
    stepOf("raft", [{ softState: { role: "candidate" } }]),
    stepOf("membership", [standing(BOB.nodeId, "alive")]),
    stepOf("membership", [standing(BOB.nodeId, "alive", "alive")]),
    stepOf("answer", [{ kind: "start_run" }]),
    stepOf("voters", [{ kind: "change" }]),
    { ...stepOf("raft", []), recorded: ['threw "x"', "{no json"] },
  ];
  for (const step of quiet) assert.equal(told(step), undefined, JSON.stringify(step));
});

Deno.test("a step's row has its part, what came and what was decided, whatever a file says came", () => {
  const call = stepOf("raft", [{ a: 1 }], { input: { method: "step", args: [{ kind: "vote" }] } });
  assert.deepEqual(timelineText(call), { part: "raft", came: "step vote", decided: `{"a":1}` });
  const answer = stepOf("answer", [{ text: "x".repeat(500) }], { id: "r1", input: "nonsense" });
  const { part, came, decided } = timelineText(answer);
  assert.deepEqual([part, came, decided.length], ["answer r1", "look", 160]);
  assert.equal(timelineText(stepOf("voters", [], { input: undefined })).came, "look");
});
