import { inCore, inVoting, mutant } from "./raft_files.ts";

/** What counts as committed, how followers take entries, and how far the leader thinks they are. */
export const COMMIT_MUTANTS = [
  mutant(
    "prior-terms-committed-by-counting",
    {
      origin: "row 1",
      kind: "S",
      does: "commits entries of older terms as soon as a quorum holds them",
    },
    inCore("replication.ts", "if (!raft.log.has({ term: raft.term, index })) return false;", ""),
  ),
  mutant(
    "leader-counts-unsorted-progress",
    { origin: "row 29", kind: "S", does: "commits what no quorum holds" },
    inVoting("quorum.ts", "indexes.sort((left, right) => left - right);", ""),
  ),
  mutant(
    "own-entries-count-before-durable",
    { origin: "row 14", kind: "D", does: "counts the leader's own copy while it is being written" },
    inCore(
      "replication.ts",
      "// The leader's own copy counts",
      "raft.peers.find(raft.id)?.acknowledge(raft.log.lastIndex);\n  // The leader's own copy counts",
    ),
  ),
  mutant(
    "promises-leave-before-durable",
    {
      origin: "rows 30, 43",
      kind: "D",
      does: "sends votes and acknowledgements before they are durable",
    },
    inCore(
      "state.ts",
      "this.messagesAfterAppend.push(message);\n      return;",
      "(message.to === this.id ? this.messagesAfterAppend : this.messages).push(message);\n      return;",
    ),
  ),
  mutant(
    "acknowledgements-leave-before-durable",
    { origin: "row 30", kind: "D", does: "acknowledges entries before they are durable" },
    inCore(
      "state.ts",
      'if (message.kind === "append_response" || message.kind === "vote_response") {',
      'if ((message.kind === "append_response" && message.to === this.id) || message.kind === "vote_response") {',
    ),
  ),
  mutant(
    "votes-leave-before-durable",
    { origin: "row 43", kind: "D", does: "answers a vote request before the vote is durable" },
    inCore(
      "state.ts",
      'message.kind === "append_response" || message.kind === "vote_response") {',
      'message.kind === "append_response" || (message.kind === "vote_response" && message.to === this.id)) {',
    ),
  ),
  mutant(
    "vote-not-persisted",
    { origin: "row 43", kind: "D", does: "forgets in a crash whom it voted for" },
    inCore(
      "raft_node.ts",
      "return left.term === right.term && left.vote === right.vote && left",
      "return left.term === right.term && left",
    ),
    inCore(
      "state.ts",
      "return { term: this.term, vote: this.vote, commit",
      "return { term: this.term, vote: undefined, commit",
    ),
  ),
  mutant(
    "term-not-persisted",
    { origin: "row 43", kind: "D", does: "forgets in a crash which terms it saw" },
    inCore(
      "raft_node.ts",
      "return left.term === right.term && left.vote === right.vote && left",
      "return left",
    ),
  ),
  mutant(
    "vote-needs-no-sync",
    {
      origin: "row 43",
      kind: "D",
      does: "lets the driver skip the sync that makes a vote durable",
    },
    inCore(
      "raft_node.ts",
      "|| snapshot !== undefined ||\n      hardState.term !== previous.term || hardState.vote !== previous.vote;",
      "|| snapshot !== undefined;",
    ),
  ),
  mutant(
    "entries-need-no-sync",
    {
      origin: "row 43",
      kind: "D",
      does: "lets the driver skip the sync that makes entries durable",
    },
    inCore(
      "raft_node.ts",
      "const mustSync = entries.length > 0 ||",
      "const mustSync =",
    ),
  ),
  mutant(
    "follower-commits-its-unverified-tail",
    {
      origin: "row 37",
      kind: "S",
      does: "takes the leader's commit index for entries nobody compared",
      survivesBecause:
        "a leader's first append that fits holds the first entry that differs, so that no unverified tail is ever left behind it",
    },
    inCore(
      "log.ts",
      "this.commitTo(Math.min(commit, lastIndex));",
      "this.commitTo(Math.min(commit, this.lastIndex));",
    ),
  ),
  mutant(
    "heartbeat-commits-unverified-tail",
    {
      origin: "row 37",
      kind: "S",
      does: "tells followers a commit index beyond what they acknowledged",
    },
    inCore(
      "replication.ts",
      "const commit = Math.min(progress.match, raft.log.committed);",
      "const commit = raft.log.committed;",
    ),
    inCore(
      "replication.ts",
      "if (message.commit > raft.log.lastIndex) {",
      "if (raft.log.lastIndex < 0) {",
    ),
    inCore(
      "replication.ts",
      "raft.log.commitTo(message.commit);",
      "raft.log.commitTo(Math.min(message.commit, raft.log.lastIndex));",
    ),
  ),
  mutant(
    "short-messages-truncate",
    {
      origin: "row 25, paper figure 2",
      kind: "S",
      does: "cuts off what stands behind a late, short append",
    },
    inCore(
      "log.ts",
      "const conflict = entries.findIndex((entry) => !this.has(entry));",
      "const conflict = entries.length > 0 && previous.index >= this.#committed ? 0 : -1;",
    ),
  ),
  mutant(
    "conflicts-not-truncated",
    { origin: "paper 5.3", kind: "S", does: "keeps its own entries where the leader's differ" },
    inCore(
      "log.ts",
      "entries.findIndex((entry) => !this.has(entry));",
      "entries.findIndex((entry) => entry.index > this.lastIndex);",
    ),
  ),
  mutant(
    "previous-entry-not-compared",
    {
      origin: "paper 5.3",
      kind: "S",
      does: "appends behind an entry that differs from the leader's",
    },
    inCore(
      "log.ts",
      'if (!this.has(previous)) return { kind: "mismatch" };',
      'if (previous.index > this.lastIndex) return { kind: "mismatch" };',
    ),
  ),
  mutant(
    "purged-previous-entry-is-a-conflict",
    {
      origin: "row 26",
      kind: "S",
      does: "writes its log anew when the previous entry is compacted away",
    },
    inCore(
      "replication.ts",
      "if (previous.index < raft.log.committed) {\n    answer(raft.log.committed);",
      "if (previous.index < raft.log.committed && raft.log.term(previous.index) !== undefined) {\n    answer(raft.log.committed);",
    ),
    inCore(
      "log.ts",
      'if (!this.has(previous)) return { kind: "mismatch" };',
      'const purged = previous.index + 1 < this.firstIndex;\n    if (!purged && !this.has(previous)) return { kind: "mismatch" };',
    ),
  ),
  mutant(
    "purged-previous-entry-matches",
    { origin: "row 18", kind: "S", does: "takes an entry it no longer has, or not yet, for equal" },
    inCore(
      "log.ts",
      "return this.term(id.index) === id.term;",
      "return (this.term(id.index) ?? id.term) === id.term;",
    ),
  ),
  mutant(
    "append-at-compacted-index-carries-term-0",
    {
      origin: "row 18",
      kind: "S",
      does: "sends an append with term 0 instead of a snapshot; the follower takes it",
    },
    inCore(
      "replication.ts",
      "if (previous.term === undefined) return sendSnapshot(raft, to, progress);",
      "",
    ),
    inCore(
      "replication.ts",
      "previous: { term: previous.term, index",
      "previous: { term: previous.term ?? 0, index",
    ),
    inCore(
      "replication.ts",
      "if (entries === undefined) return sendSnapshot(raft, to, progress);",
      "",
    ),
    inCore(
      "replication.ts",
      ": raft.log.entriesFrom(progress.next, raft.options.messageBytesMax);",
      ": raft.log.entriesFrom(progress.next, raft.options.messageBytesMax) ?? [];",
    ),
    inCore(
      "log.ts",
      "return this.term(id.index) === id.term;",
      "return (this.term(id.index) ?? 0) === id.term;",
    ),
  ),
  mutant(
    "acknowledgement-may-go-back",
    {
      origin: "rows 33, 34",
      kind: "L",
      does: "lets a late acknowledgement lower what a follower holds",
    },
    inCore(
      "peers.ts",
      "if (index <= this.match) return false;",
      "if (index === this.match) return false;",
    ),
  ),
  mutant(
    "acknowledgement-kept-over-terms",
    { origin: "row 33", kind: "S", does: "counts what a follower acknowledged in an older term" },
    inCore("state.ts", "this.peers.restart(this.id, this.log.lastIndex);", ""),
  ),
  mutant(
    "stale-rejection-rewinds",
    {
      origin: "row 33",
      kind: "L",
      does: "believes rejections that are older than acknowledgements",
    },
    inCore(
      "peers.ts",
      "if (rejected <= this.match) return false;\n      this.next = this.match + 1;",
      "this.match = Math.min(this.match, rejected - 1);\n      this.next = this.match + 1;",
    ),
  ),
  mutant(
    "rejection-does-not-step-back",
    { origin: "row 25", kind: "L", does: "probes the same place for ever" },
    inCore("peers.ts", "this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);", ""),
  ),
  mutant(
    "hint-skips-too-far",
    {
      origin: "paper 5.3",
      kind: "L",
      does: "lets a hint move the probe forward",
      survivesBecause: "the hint of an honest follower never lies behind what it rejected",
    },
    inCore(
      "peers.ts",
      "Math.max(Math.min(rejected, hint + 1), this.match + 1)",
      "Math.max(hint + 1, this.match + 1)",
    ),
  ),
  mutant(
    "older-write-confirms-newer-entry",
    {
      origin: "A.8 append ABA race",
      kind: "D",
      does: "takes the end of an overwritten entry's write for its successor's",
    },
    inCore(
      "raft.ts",
      "if (input.last !== undefined && input.term === term) log",
      "if (input.last !== undefined) log",
    ),
    inCore(
      "unstable.ts",
      "if (id.index < this.#offset || this.term(id.index) !== id.term) return;",
      "if (id.index < this.#offset || this.term(id.index) === undefined) return;",
    ),
  ),
  mutant(
    "write-of-older-term-confirms",
    {
      origin: "A.8 append ABA race",
      kind: "D",
      does: "lets a write of an older term confirm what was written again since",
      survivesBecause:
        "the unstable log compares terms as well; only an entry overwritten and restored during its first write slips through, which raft_node_test.ts covers",
    },
    inCore(
      "raft.ts",
      "if (input.last !== undefined && input.term === term) log",
      "if (input.last !== undefined) log",
    ),
  ),
  mutant(
    "overwritten-write-not-repeated",
    {
      origin: "A.8 append ABA race",
      kind: "D",
      does: "never writes entries that replaced ones being written",
    },
    inCore("unstable.ts", "this.#offsetInProgress = Math.min(this.#offsetInProgress, first);", ""),
  ),
  mutant(
    "no-empty-entry-at-start-of-term",
    {
      origin: "row 45",
      kind: "L",
      does: "leaves entries of older terms uncommitted until somebody writes",
    },
    inCore(
      "election.ts",
      'appendProposals(raft, [{ kind: "command", data: new Uint8Array() }]);',
      "",
    ),
  ),
];
