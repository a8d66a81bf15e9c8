import type { Edit } from "./mutant.ts";
import { mutant } from "./raft_files.ts";

function inCore(file: string, find: string, replace: string): Edit {
  return { file: `src/core/${file}`, find, replace };
}

/** Bugs that break an invariant of the core before anything else shows them; each is named after what must hold. */
export const INVARIANT_MUTANTS = [
  mutant(
    "living-counted-twice",
    { origin: "living among the known", kind: "S", does: "counts who comes and who goes alike" },
    inCore(
      "membership/roster.ts",
      "this.#liveCount += wasLive ? -1 : 1;",
      "this.#liveCount += 1;",
    ),
  ),
  mutant(
    "values-weigh-too-little",
    { origin: "values within bounds", kind: "S", does: "gives back twice what a value took" },
    inCore(
      "membership/values.ts",
      "this.#bytes -= valueEntryBytes(held);",
      "this.#bytes -= 2 * valueEntryBytes(held);",
    ),
  ),
  mutant(
    "values-weigh-twice",
    { origin: "values within bounds", kind: "L", does: "counts a value anew each time it is said" },
    inCore(
      "membership/values.ts",
      "this.#remove(entry.key);\n    this.#entries.set",
      "this.#entries.set",
    ),
  ),
  mutant(
    "timers-out-of-order",
    { origin: "timers due in order", kind: "L", does: "leaves the last timer on top of the heap" },
    inCore(
      "membership/timers.ts",
      "this.#heap[0] = last;\n    this.#siftDown();",
      "this.#heap[0] = last;",
    ),
  ),
  mutant(
    "rumour-lost-track-of",
    { origin: "rumour where its count says", kind: "L", does: "looks for rumours in another row" },
    inCore(
      "membership/rumors.ts",
      "this.#sentByKey.set(subject, sent);",
      "this.#sentByKey.set(subject, 0);",
    ),
  ),
  mutant(
    "one-confirmation-too-many",
    {
      origin: "confirmations wanted",
      kind: "S",
      does: "ends a suspicion at once by one voice more",
    },
    inCore(
      "membership/suspicion.ts",
      "this.confirmations >= this.#confirmationsWanted",
      "this.confirmations > this.#confirmationsWanted",
    ),
  ),
  mutant(
    "datagram-outgrows-its-packet",
    { origin: "datagram fits", kind: "L", does: "fills a packet without counting its head" },
    inCore(
      "membership/voice.ts",
      "this.#claims.take(DATAGRAM_BYTES_MAX - writer.length",
      "this.#claims.take(DATAGRAM_BYTES_MAX",
    ),
  ),
  mutant(
    "core-time-goes-back",
    { origin: "core time", kind: "S", does: "takes a stall away from all time to come" },
    inCore(
      "membership/membership.ts",
      "this.#stalledMs = this.#nowMs - shared.coreMs;",
      "this.#stalledMs = this.#nowMs;",
    ),
  ),
  mutant(
    "slot-given-twice",
    { origin: "no slot twice", kind: "S", does: "grants more slots than a model has" },
    inCore(
      "scheduler/scheduler.ts",
      "    if (instance.running.size >= instance.slots) return false;",
      "",
    ),
  ),
  mutant(
    "grants-outlive-their-runner",
    { origin: "slot holders run", kind: "L", does: "keeps the slots of a runner that is gone" },
    inCore(
      "scheduler/scheduler.ts",
      "      this.#granted.delete(requestId);\n      this.#waiting.lose(requestId, nowMs);",
      "      this.#waiting.lose(requestId, nowMs);",
    ),
  ),
  mutant(
    "two-loads-at-once",
    { origin: "one load", kind: "S", does: "counts the same free memory for two models" },
    inCore("scheduler/scheduler.ts", 'if (outcome !== "refused") loadClaimed = true;', ""),
  ),
  mutant(
    "node-asked-again",
    { origin: "each node once", kind: "L", does: "does not know again who has refused" },
    inCore(
      "answers/slot_search.ts",
      "this.#refused.push({ nodeId, reason: code });",
      "this.#refused.push({ nodeId: `${nodeId}x` as NodeId, reason: code });",
    ),
  ),
  mutant(
    "content-kept-back",
    { origin: "content at once", kind: "S", does: "gives content out and keeps it" },
    inCore(
      "generation/thinking_parser.ts",
      'pieces.push({ kind: "content", text: this.#held });\n        this.#held = "";',
      'pieces.push({ kind: "content", text: this.#held });',
    ),
  ),
  mutant(
    "text-behind-a-stop-string",
    { origin: "nothing behind a stop", kind: "S", does: "reads on after the end" },
    inCore("generation/answer_stream.ts", "if (this.#end !== undefined) break;", ""),
  ),
  mutant(
    "manifest-dropped-under-a-model",
    { origin: "model has its manifest", kind: "D", does: "drops what another name still needs" },
    inCore(
      "catalogue/apply_models.ts",
      "for (const row of tables.models.values()) if (row.manifestDigest === digest) return;",
      "",
    ),
  ),
  mutant(
    "voter-planned-twice",
    { origin: "plan of different voters", kind: "S", does: "gives one node two votes" },
    inCore(
      "catalogue/voters.ts",
      "return seats.length === 1 ? [self, ...seats] : [self, ...seats.slice(0, -1)];",
      "return [self, self, ...seats.slice(0, -1)];",
    ),
  ),
  mutant(
    "tail-starts-elsewhere",
    { origin: "tail behind what is durable", kind: "D", does: "forgets where its entries begin" },
    inCore("raft/unstable.ts", "      this.#offset = first;\n", ""),
  ),
  mutant(
    "read-ahead-of-the-log",
    { origin: "reads of what is committed", kind: "L", does: "lets a read wait for a later entry" },
    inCore(
      "raft/reads.ts",
      "raft.reads.add({ ...request, index: raft.log.committed })",
      "raft.reads.add({ ...request, index: raft.log.lastIndex + 1 })",
    ),
  ),
  mutant(
    "refused-change-waited-for",
    {
      origin: "change has its place",
      kind: "L",
      does: "holds a change up for one that has no place",
    },
    inCore("raft/reconfiguration.ts", "raft.pendingChangeIndex = pendingBefore;", ""),
  ),
];
