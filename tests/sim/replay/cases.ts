/**
 * The commands of the recorded cases for quorums (`committed`, `vote`) and for membership changes (`simple`,
 * `enter-joint`, `leave-joint`).
 *
 * @module
 */
import type { NodeId } from "../../../src/base/mod.ts";
import type { ChangeRefusal, ChangeResult } from "../../../src/core/raft/mod.ts";
import {
  changeSimply,
  EMPTY_CONFIGURATION,
  enterJoint,
  leaveJoint,
  toGroup,
} from "../../../src/core/raft/configuration.ts";
import { jointIndex, jointVote } from "../../../src/core/voting/mod.ts";
import { Peers } from "../../../src/core/raft/peers.ts";
import {
  describeConfiguration,
  describeMember,
  nodeId,
  nodeNumber,
  parseSteps,
} from "./describe.ts";
import type { Argument, Directive } from "./format.ts";

const REFUSALS: Record<ChangeRefusal, string> = {
  already_joint: "config is already joint",
  not_joint: "can't leave a non-joint config",
  simple_while_joint: "can't apply simple config change in joint config",
  no_voters_to_leave: "can't make a zero-voter config joint",
  removes_all_voters: "removed all voters",
  changes_several_voters: "more than one voter changed without entering joint config",
};

/** A configuration changed step by step; every command, also a refused one, counts as one entry of the log. */
export class ChangeCases {
  readonly #peers = new Peers({ messagesMax: 10, bytesMax: Infinity });
  #configuration = EMPTY_CONFIGURATION;
  #lastIndex = 0;

  /** Runs one directive and returns its whole output. */
  run(directive: Directive): string {
    const result = this.#change(directive);
    const lastIndex = this.#lastIndex++;
    if (result.kind === "refused") return REFUSALS[result.reason];
    this.#configuration = result.configuration;
    this.#peers.switchTo(result.configuration, lastIndex, result.fresh);
    const lines = this.#peers.ids.map((id) =>
      `${nodeNumber(id)}: ${describeMember(viewOf(this.#peers, id))}`
    );
    return [describeConfiguration(toGroup(this.#configuration)), ...lines].join("\n");
  }

  #change({ command, args, input }: Directive): ChangeResult {
    const steps = parseSteps(input);
    switch (command) {
      case "simple":
        return changeSimply(this.#configuration, steps);
      case "enter-joint": {
        const autoLeave = args.some((arg) => arg.key === "autoleave" && arg.values[0] === "true");
        return enterJoint(this.#configuration, steps, { autoLeave });
      }
      case "leave-joint":
        if (steps.length > 0) throw new SyntaxError("leave-joint takes no steps");
        return leaveJoint(this.#configuration);
      default:
        throw new SyntaxError(`unknown command: ${command}`);
    }
  }
}

function viewOf(peers: Peers, id: NodeId) {
  const progress = peers.get(id);
  const { mode, match, next, isLearner, paused, pendingSnapshot, recentlyActive } = progress;
  const { commitSent } = progress;
  const inflightCount = progress.inflights.count;
  const inflightFull = progress.inflights.full;
  const flow = { paused, inflightCount, inflightFull };
  return { mode, match, next, isLearner, pendingSnapshot, commitSent, recentlyActive, ...flow };
}

/** Runs one quorum directive and returns its whole output. */
export function runQuorumCase({ command, args }: Directive): string {
  const incoming = idsOf(args, "cfg");
  const outgoing = idsOf(args, "cfgj");
  const voters = { incoming: new Set(incoming), outgoing: new Set(outgoing) };
  const all = [...new Set([...incoming, ...outgoing])];
  const given = args.find((arg) => arg.key === (command === "vote" ? "votes" : "idx"))?.values ??
    [];
  if (given.length !== all.length) {
    return `error: mismatched input (explicit or _) for voters ${all}: ${given}`;
  }
  const known = new Map<NodeId, string>();
  for (const [position, id] of all.entries()) {
    const value = given[position];
    if (value !== undefined && value !== "_") known.set(id, value);
  }
  if (command === "vote") {
    const votes = new Map([...known].map(([id, value]) => [id, value === "y"]));
    return { won: "VoteWon", lost: "VoteLost", pending: "VotePending" }[jointVote(voters, votes)];
  }
  if (command !== "committed") return "unknown command";
  const indexes = new Map([...known].map(([id, value]) => [id, Number(value)]));
  const index = jointIndex(voters, (id) => indexes.get(id));
  const table = all.length === 0 ? "<empty majority quorum>" : drawIndexes(all, indexes);
  return table + (index === Infinity ? "∞" : index);
}

function idsOf(args: readonly Argument[], key: string): NodeId[] {
  const values = args.find((arg) => arg.key === key)?.values ?? [];
  return values.filter((value) => value !== "zero").map((value) => nodeId(Number(value)));
}

/** One row per voter: a bar as long as there are voters behind it, its index and its id. */
function drawIndexes(ids: readonly NodeId[], indexes: ReadonlyMap<NodeId, number>): string {
  const rows = ids.map((id) => ({ id: nodeNumber(id), index: indexes.get(id) }));
  const behind = (index: number) => rows.filter((row) => (row.index ?? 0) < index).length;
  rows.sort((left, right) => left.id - right.id);
  const width = ids.length;
  const lines = rows.map(({ id, index }) => {
    const drawn = index === undefined ? "?" : `${"x".repeat(behind(index))}>`;
    return `${drawn.padEnd(width + 1)} ${String(index ?? 0).padStart(5)}    (id=${id})\n`;
  });
  return `${" ".repeat(width)}    idx\n${lines.join("")}`;
}
