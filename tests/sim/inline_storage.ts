import type { NodeId } from "../../src/base/mod.ts";
import type { AppendOrder, RaftInput, RaftNode, Ready } from "../../src/core/raft/mod.ts";
import type { Entry, HardState, Snapshot } from "../../src/protocol/mod.ts";
import type { MemoryLog } from "./memory_log.ts";

/** A {@link Ready} whose orders to the disk are carried out already. */
export interface InlineReady
  extends Pick<Ready, "softState" | "readStates" | "messages" | "notes"> {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
  /** To be applied before {@link InlineStorage.advance}. */
  readonly committed: readonly Entry[];
  /** False when nothing was written, or only a commit index or a snapshot. */
  readonly mustSync: boolean;
}

/**
 * Drives a node as if its disk took no time: each order to it is carried out when it is given, and its promises leave with
 * the messages. So the core can be told of one thing at a time, which is how recorded cases and the visit of every state
 * look at it.
 */
export class InlineStorage {
  readonly #node: RaftNode;
  readonly #log: MemoryLog;
  readonly #id: NodeId;
  #answers: RaftInput[] = [];

  constructor(node: RaftNode, log: MemoryLog) {
    this.#node = node;
    this.#log = log;
    this.#id = node.view().id;
  }

  /** The node's next Ready, its orders to the disk carried out. Call {@link advance} before the next. */
  ready(): InlineReady {
    const { softState, readStates, messages, notes, append, apply } = this.#node.ready();
    const { term, vote } = this.#log.hardState;
    const { hardState, entries = [], snapshot, answers = [] } = append ?? {};
    const mustSync = entries.length > 0 ||
      (hardState !== undefined && (hardState.term !== term || hardState.vote !== vote));
    if (append !== undefined) write(this.#log, append);
    const isOwn = (answer: RaftInput) => !("to" in answer) || answer.to === this.#id;
    const promises = answers.filter((answer) => answer.kind !== "append_done");
    // Told at once that all is durable, it hands out for applying what was written just now and is committed already.
    if (snapshot === undefined) this.#tell(answers.filter(isDone));
    const behind = snapshot === undefined && this.#node.hasReady()
      ? this.#node.ready().apply
      : undefined;
    this.#answers = [
      ...promises.filter(isOwn),
      ...(snapshot === undefined ? [] : answers.filter(isDone)),
      ...apply?.answers ?? [],
      ...behind?.answers ?? [],
    ];
    return {
      softState,
      readStates,
      notes,
      hardState,
      entries,
      snapshot,
      mustSync,
      committed: [...apply?.entries ?? [], ...behind?.entries ?? []],
      messages: [...messages, ...promises.filter((promise) => !isOwn(promise))],
    };
  }

  /** All of the last {@link ready} is done. */
  advance(): void {
    const answers = this.#answers;
    this.#answers = [];
    this.#tell(answers);
  }

  #tell(answers: readonly RaftInput[]): void {
    for (const answer of answers) this.#node.step(answer);
  }
}

/** Carries out an order to the disk. */
export function write(
  log: MemoryLog,
  { hardState, snapshot, entries }: Pick<AppendOrder, "hardState" | "entries" | "snapshot">,
): void {
  if (hardState !== undefined) log.hardState = hardState;
  if (snapshot !== undefined) log.install(snapshot);
  log.append(entries);
}

function isDone({ kind }: RaftInput): boolean {
  return kind === "append_done";
}
