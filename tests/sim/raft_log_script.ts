/**
 * Random scripts for Raft logs, and the state a log must be in after each.
 *
 * @module
 */
import type { NodeId, Random } from "../../src/base/mod.ts";
import { limitEntries } from "../../src/core/raft/mod.ts";
import type { LogOrder, RaftLogReader, RaftLogStore } from "../../src/ports/mod.ts";
import type { Entry, Snapshot } from "../../src/protocol/mod.ts";

/** Whose log it is. */
export const OWNER = "00000000000000aa" as NodeId;
export const LOG_OPTIONS = { owner: OWNER, limitEntries } as const;

/** One call of a log. */
export type LogCall =
  | { readonly kind: "write"; readonly order: LogOrder }
  | { readonly kind: "compact"; readonly snapshot: Snapshot; readonly trailing: number };

/** What can be read of a log: equal pictures are equal logs. */
export interface LogPicture {
  readonly hardState: unknown;
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
  readonly snapshotData: string;
  readonly firstIndex: number;
  readonly startTerm: number | undefined;
  readonly entries: readonly string[];
}

export function pictureOf(log: RaftLogReader): LogPicture {
  const snapshot = log.snapshot();
  const first = log.firstIndex();
  const entries = log.entries(first, log.lastIndex() + 1, Infinity) ?? [];
  return {
    hardState: log.initial().hardState,
    snapshotIndex: snapshot?.id.index ?? 0,
    snapshotTerm: snapshot?.id.term ?? 0,
    snapshotData: snapshot?.data.join() ?? "",
    firstIndex: first,
    startTerm: log.term(first - 1),
    entries: entries.map((entry) =>
      `${entry.index}@${entry.term} ${
        entry.kind === "command" ? entry.data.join() : JSON.stringify(entry.change.steps)
      }`
    ),
  };
}

export function call(log: RaftLogStore, wanted: LogCall): Promise<void> {
  if (wanted.kind === "write") return log.write(wanted.order);
  return log.compact(wanted.snapshot, { trailing: wanted.trailing });
}

/** Draws calls that a Raft core could make of a log that looks like this. */
export function drawCall(random: Random, log: RaftLogReader, serial: number): LogCall {
  const { hardState } = log.initial();
  const term = hardState.term + (random.chance(1, 8) ? 1 : 0);
  const last = log.lastIndex();
  const commit = Math.max(hardState.commit, log.firstIndex() - 1);
  const draw = random.below(20);
  if (draw === 0 && commit > 0) {
    const index = random.between(Math.max(1, log.firstIndex() - 1), commit + 1);
    const id = { index, term: log.term(index) ?? term };
    return { kind: "compact", snapshot: snapshotAt(id, serial), trailing: random.below(20) };
  }
  if (draw === 1) {
    const id = { term, index: last + random.between(1, 30) };
    const hard = { term, vote: undefined, commit: id.index };
    return {
      kind: "write",
      order: { snapshot: snapshotAt(id, serial), entries: [], hardState: hard },
    };
  }
  // Never below the commit index: those can't be overwritten.
  const from = random.chance(1, 4) ? random.between(commit + 1, last + 2) : last + 1;
  const count = random.below(6);
  const entries = Array.from(
    { length: count },
    (_, position) => entryAt({ term, index: from + position }, { random, serial }),
  );
  const lastAfter = count === 0 ? last : from + count - 1;
  const changed = count === 0 || random.chance(1, 2);
  const vote = random.chance(1, 2) ? OWNER : undefined;
  const committed = random.between(Math.min(commit, lastAfter), lastAfter + 1);
  const hard = changed ? { term, vote, commit: committed } : { ...hardState, term };
  return { kind: "write", order: { snapshot: undefined, entries, hardState: hard } };
}

function snapshotAt(id: { term: number; index: number }, serial: number): Snapshot {
  const voters = [OWNER];
  const configuration = {
    voters,
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  return { id, configuration, data: Uint8Array.of(serial & 255, serial >> 8, 7) };
}

function entryAt(
  id: { term: number; index: number },
  from: { readonly random: Random; readonly serial: number },
): Entry {
  const { random, serial } = from;
  if (random.chance(1, 15)) {
    const steps = [{ action: "add_learner", node: OWNER } as const];
    const change = {
      transition: "auto",
      steps,
      context: new Uint8Array(0),
      form: "batch",
    } as const;
    return { ...id, kind: "group_change", change };
  }
  const length = random.chance(1, 10) ? random.below(3_000) : random.below(80);
  return { ...id, kind: "command", data: new Uint8Array(length).fill(serial & 255) };
}
