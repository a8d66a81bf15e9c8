import { inCore, inDriver, mutant } from "./raft_files.ts";

/** Windows, limits, applying and snapshots. */
export const FLOW_MUTANTS = [
  mutant(
    "uncommitted-bytes-leak",
    { origin: "row 8", kind: "L", does: "never gives back the bytes of applied proposals" },
    inCore(
      "raft.ts",
      "raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadBytes(input.entries));",
      "",
    ),
  ),
  mutant(
    "uncommitted-bytes-kept-over-terms",
    {
      origin: "row 8",
      kind: "L",
      does: "carries another leadership's bytes into the next",
      survivesBecause:
        "every node subtracts what it applies, so what is left over drains while it follows",
    },
    inCore("state.ts", "this.uncommittedBytes = 0;\n    this.reads = new", "this.reads = new"),
  ),
  mutant(
    "applying-handed-out-twice",
    { origin: "row 7", kind: "S", does: "hands out again what is being applied" },
    inCore("log.ts", "const low = this.#applying + 1;\n", "const low = this.#applied + 1;\n"),
  ),
  mutant(
    "applying-never-goes-on",
    { origin: "row 7", kind: "L", does: "stays paused after a page of committed entries" },
    inCore(
      "log.ts",
      "this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;\n  }",
      "}",
    ),
  ),
  mutant(
    "applying-bytes-leak",
    { origin: "row 7", kind: "L", does: "never gives back the bytes of applied entries" },
    inCore("log.ts", "this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);", ""),
  ),
  mutant(
    "page-skips-entries",
    {
      origin: "rows 7, 46",
      kind: "S",
      does: "joins a cut page of durable entries with the newest ones",
    },
    inCore(
      "log.ts",
      "|| high <= offset || stable.length < cut - low) return stable;",
      "|| high <= offset) return stable;",
    ),
    inCore("log.ts", "if (bytes >= bytesMax) return stable;", ""),
    inCore(
      "log.ts",
      "if (rest.length === 1 && bytes + entriesBytes(rest) > bytesMax) return stable;",
      "",
    ),
  ),
  mutant(
    "unwritten-entries-applied",
    {
      origin: "A.8 async storage writes",
      kind: "D",
      does: "applies entries whose own write is not confirmed",
    },
    inCore(
      "log.ts",
      "return Math.min(this.#committed, this.#unstable.offset - 1);",
      "return this.#committed;",
    ),
  ),
  mutant(
    "applied-during-pending-snapshot",
    {
      origin: "row 40",
      kind: "S",
      does: "applies entries behind a snapshot that is not there yet",
    },
    inCore(
      "log.ts",
      "if (this.#applyingPaused || this.#unstable.snapshot !== undefined) return [];",
      "if (this.#applyingPaused) return [];",
    ),
    inCore(
      "log.ts",
      "if (this.#applyingPaused || this.#unstable.snapshot !== undefined) return false;",
      "if (this.#applyingPaused) return false;",
    ),
  ),
  mutant(
    "full-window-sends-nothing",
    {
      origin: "row 17",
      kind: "L",
      does: "stays silent to a follower whose window is full, though all in it was lost",
    },
    inCore(
      "peers.ts",
      'return this.mode === "snapshot" || this.#held;',
      'return this.mode === "snapshot" || this.#held || this.inflights.full;',
    ),
  ),
  mutant(
    "heartbeat-does-not-release",
    {
      origin: "rows 17, 24",
      kind: "L",
      does: "waits for an acknowledgement that was lost, while heartbeats go on",
    },
    inCore("replication.ts", "progress.release();", ""),
  ),
  mutant(
    "heartbeat-does-not-resend",
    {
      origin: "row 24",
      kind: "L",
      does: "sends nothing more to a follower whose appends were lost",
    },
    inCore(
      "replication.ts",
      'if (progress.match < raft.log.lastIndex || progress.mode === "probe") {',
      "if (raft.term === 0) {",
    ),
  ),
  mutant(
    "inflight-bytes-not-reset",
    { origin: "row 19", kind: "L", does: "keeps the byte count of a window that was emptied" },
    inCore(
      "peers.ts",
      "this.#sent = [];\n    // The byte count must go",
      "this.#sent = [];\n    if (this.#bytes > 0) return;\n    // The byte count must go",
    ),
  ),
  mutant(
    "inflight-window-not-reset",
    { origin: "row 17", kind: "L", does: "carries a full window into the next mode" },
    inCore("peers.ts", "this.mode = mode;\n    this.inflights.clear();", "this.mode = mode;"),
  ),
  mutant(
    "inflight-window-frees-nothing",
    { origin: "row 17", kind: "L", does: "never empties the window on acknowledgements" },
    inCore("replication.ts", "progress.inflights.freeTo(message.index);", ""),
  ),
  mutant(
    "stuck-in-probe-after-snapshot",
    {
      origin: "row 9",
      kind: "L",
      does: "leaves a follower that a snapshot caught up in probe mode",
    },
    inCore(
      "replication.ts",
      "progress.becomeProbe();\n      progress.becomeReplicate();\n      return;",
      "progress.becomeProbe();\n      return;",
    ),
    inCore(
      "replication.ts",
      'const echo = progress.mode === "probe" && progress.match === message.index;',
      "const echo = false;",
    ),
  ),
  mutant(
    "probe-echo-ignored",
    {
      origin: "row 9",
      kind: "L",
      does: "leaves a caught-up follower in probe mode until somebody writes",
    },
    inCore(
      "replication.ts",
      'const echo = progress.mode === "probe" && progress.match === message.index;',
      "const echo = false;",
    ),
  ),
  mutant(
    "snapshot-older-than-pending-refused",
    { origin: "row 20", kind: "L", does: "waits for exactly the snapshot it sent" },
    inCore(
      "replication.ts",
      "if (progress.match + 1 < raft.log.firstIndex) return;",
      "if (progress.match < progress.pendingSnapshot) return;",
    ),
    inCore(
      "raft.ts",
      'if (delivery === "delivered") progress.becomeProbe();',
      'if (delivery === "delivered") return;',
    ),
  ),
  mutant(
    "next-below-match-after-snapshot",
    {
      origin: "row 20",
      kind: "L",
      does: "goes on behind the snapshot though more is acknowledged",
    },
    inCore(
      "peers.ts",
      "this.next = Math.max(this.match + 1, snapshotIndex + 1);",
      "this.next = snapshotIndex + 1;",
    ),
  ),
  mutant(
    "failed-snapshot-never-retried",
    { origin: "row 32", kind: "L", does: "goes on behind a snapshot that never arrived" },
    inCore("peers.ts", "this.pendingSnapshot = 0;\n    this.becomeProbe();", "this.becomeProbe();"),
    inCore(
      "peers.ts",
      "this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);",
      "this.next = Math.max(Math.min(rejected, hint + 1), this.next);",
    ),
  ),
  mutant(
    "compacted-follower-gets-nothing",
    {
      origin: "row 32",
      kind: "L",
      does: "sends nothing to a follower whose next entry is compacted away",
    },
    inCore(
      "replication.ts",
      "if (previous.term === undefined) return sendSnapshot(raft, to, progress);",
      "if (previous.term === undefined) return false;",
    ),
  ),
  mutant(
    "snapshot-cuts-newer-entries",
    {
      origin: "row 40",
      kind: "S",
      does: "drops acknowledged entries behind a snapshot it did not need",
    },
    inCore(
      "reconfiguration.ts",
      "if (raft.log.has(snapshot.id)) {",
      "if (raft.log.firstIndex < 0) {",
    ),
  ),
  mutant(
    "snapshot-behind-commit-accepted",
    {
      origin: "rows 33, 40",
      kind: "S",
      does: "goes back to a snapshot older than what it committed",
    },
    inCore(
      "reconfiguration.ts",
      "if (snapshot.id.index <= raft.log.committed) return false;",
      "if (snapshot.id.index + 8 <= raft.log.committed) return false;",
    ),
    inCore(
      "reconfiguration.ts",
      "if (raft.log.has(snapshot.id)) {",
      "if (raft.log.firstIndex < 0) {",
    ),
  ),
  mutant(
    "snapshot-keeps-old-entries",
    { origin: "row 36", kind: "S", does: "keeps entries of its old log behind a snapshot" },
    inCore(
      "unstable.ts",
      "this.#offsetInProgress = this.#offset;\n    this.#entries = [];",
      "this.#offsetInProgress = this.#offset;",
    ),
  ),
  mutant(
    "snapshot-acknowledged-early",
    { origin: "row 16", kind: "D", does: "acknowledges a snapshot before it is durable" },
    inCore(
      "reconfiguration.ts",
      'raft.send({\n    kind: "append_response",',
      'raft.messages.push({\n    kind: "append_response",',
    ),
  ),
  mutant(
    "driver-sends-before-write",
    { origin: "rows 14, 43", kind: "D", does: "the driver sends promises before it writes" },
    inDriver(
      "replica.ts",
      "    this.writing.push(order);\n    if (this.disk.queues",
      '    this.writing.push(order);\n    for (const answer of order.answers) {\n      if ("to" in answer && answer.to !== this.id) this.#parts.hooks.send(answer);\n    }\n    if (this.disk.queues',
    ),
  ),
  mutant(
    "driver-applies-after-saying-so",
    {
      origin: "rows 13, 25",
      kind: "S",
      does: "the driver serves reads before what they wait for is applied",
    },
    inDriver(
      "replica.ts",
      "if (read === undefined || read.index > this.machine.index) continue;",
      "if (read === undefined) continue;",
    ),
  ),
  mutant(
    "driver-snapshot-has-old-configuration",
    {
      origin: "rows 25, 41",
      kind: "S",
      does: "the driver's snapshots carry the configuration of the one before",
    },
    inDriver(
      "replica.ts",
      "const { configuration } = this.raft.view();",
      "const { configuration } = this.disk.snapshot();",
    ),
  ),
];
