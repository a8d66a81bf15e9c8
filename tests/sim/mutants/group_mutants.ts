import { inCore, inVoting, mutant } from "./raft_files.ts";

/** Changes of the group, and reads. */
export const GROUP_MUTANTS = [
  mutant(
    "change-across-terms",
    {
      origin: "row 2",
      kind: "S",
      does: "a new leader starts a change while an older leader's is unapplied",
    },
    inCore("state.ts", "this.pendingChangeIndex = this.log.lastIndex;", ""),
  ),
  mutant(
    "two-changes-at-once",
    { origin: "row 2", kind: "S", does: "starts a change while another is not applied" },
    inCore(
      "reconfiguration.ts",
      'if (raft.pendingChangeIndex > raft.log.applied) return "change_pending";',
      "",
    ),
  ),
  mutant(
    "joint-lost-in-snapshots-and-restarts",
    { origin: "rows 10, 25", kind: "S", does: "forgets the old half of a joint configuration" },
    inCore("configuration.ts", "outgoing: new Set(group.votersOutgoing),", "outgoing: new Set(),"),
    inCore(
      "configuration.ts",
      "learnersNext: new Set(group.learnersNext),\n    autoLeave: group.autoLeave,",
      "learnersNext: new Set(),\n    autoLeave: false,",
    ),
  ),
  mutant(
    "auto-leave-lost-on-restart",
    {
      origin: "row 10",
      kind: "L",
      does: "never leaves a joint configuration that a snapshot carried",
    },
    inCore("configuration.ts", "autoLeave: group.autoLeave,", "autoLeave: false,"),
  ),
  mutant(
    "auto-leave-proposed-twice",
    { origin: "row 10", kind: "S", does: "proposes leaving on each applied entry" },
    inCore(
      "reconfiguration.ts",
      "raft.peers.configuration.autoLeave &&\n    applied >= raft.pendingChangeIndex",
      "raft.peers.configuration.autoLeave",
    ),
    inCore(
      "reconfiguration.ts",
      'if (raft.pendingChangeIndex > raft.log.applied) return "change_pending";',
      'if (raft.pendingChangeIndex > raft.log.applied && change.steps.length > 0) return "change_pending";',
    ),
  ),
  mutant(
    "auto-leave-only-tried-once",
    { origin: "row 10", kind: "L", does: "gives up leaving when its first proposal is lost" },
    inCore(
      "reconfiguration.ts",
      "applied >= raft.pendingChangeIndex\n",
      "applied === raft.pendingChangeIndex\n",
    ),
  ),
  mutant(
    "leader-campaigns-with-unapplied-change",
    { origin: "A.4", kind: "S", does: "counts votes by a configuration that is replaced already" },
    inCore("election.ts", "if (hasUnappliedChange(raft)) {", "if (raft.term < 0) {"),
  ),
  mutant(
    "votes-tell-no-commit",
    {
      origin: "raft-rs 364",
      kind: "L",
      does:
        "needs the vote of a leader that left with the longest log, and never hears that it left",
    },
    inCore(
      "election.ts",
      'if (raft.role === "leader" || !raft.log.has(committed)) return;',
      "if (raft.term >= 0) return;",
    ),
  ),
  mutant(
    "only-voters-tell-commit",
    {
      origin: "raft-rs 364",
      kind: "L",
      does: "does not learn from a candidate that it has a vote itself",
      survivesBecause:
        "takes a newcomer with the longest log that nobody told of its promotion, and a leader that is gone before it could, which seeds do not meet; reconfiguration_test.ts does",
    },
    inCore(
      "raft.ts",
      'if ("committed" in message) learn',
      'if (message.kind === "vote_response") learn',
    ),
  ),
  mutant(
    "only-candidates-tell-commit",
    {
      origin: "raft-rs 364",
      kind: "L",
      does: "does not learn from a refusal why it is refused",
    },
    inCore(
      "raft.ts",
      'if ("committed" in message) learn',
      'if (message.kind === "vote_request") learn',
    ),
  ),
  mutant(
    "commit-of-others-believed-blindly",
    {
      origin: "raft-rs 364",
      kind: "S",
      does: "takes what another has committed for its own entry at that index",
    },
    inCore(
      "election.ts",
      "!raft.log.has(committed)) return;",
      "committed.index > raft.log.lastIndex) return;",
    ),
  ),
  mutant(
    "campaign-outlives-the-change-it-hears-of",
    {
      origin: "raft-rs 364",
      kind: "S",
      does: "goes on counting votes by a configuration that it knows to be replaced",
    },
    inCore(
      "election.ts",
      "if (isCampaign && hasUnapplied",
      "if (isCampaign && raft.term < 0 && hasUnapplied",
    ),
  ),
  mutant(
    "commit-counts-new-half-only",
    { origin: "row 25", kind: "S", does: "commits by the new voters alone" },
    inVoting(
      "quorum.ts",
      "return Math.min(\n    majorityIndex(voters.incoming, acknowledged),\n    majorityIndex(voters.outgoing, acknowledged),\n  );",
      "return majorityIndex(voters.incoming, acknowledged);",
    ),
  ),
  mutant(
    "votes-count-new-half-only",
    { origin: "row 25", kind: "S", does: "is elected by the new voters alone" },
    inVoting(
      "quorum.ts",
      "const outgoing = majorityVote(voters.outgoing, votes);",
      "const outgoing = incoming;",
    ),
  ),
  mutant(
    "votes-count-either-half",
    { origin: "row 25", kind: "S", does: "is elected by either half" },
    inVoting(
      "quorum.ts",
      'return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";',
      'return incoming === "won" || outgoing === "won" ? "won" : "pending";',
    ),
  ),
  mutant(
    "change-leaves-no-joint-phase",
    { origin: "row 2", kind: "S", does: "changes several voters at once" },
    inCore(
      "configuration.ts",
      'return change.transition !== "auto" || change.steps.length > 1;',
      "return false;",
    ),
    inCore(
      "configuration.ts",
      "if (countDifferences(before.incoming, draft.incoming) > 1) {",
      "if (before.incoming.size === 0) {",
    ),
  ),
  mutant(
    "snapshot-configuration-ignored",
    {
      origin: "rows 31, 36, 41",
      kind: "S",
      does: "keeps its old configuration when it takes a snapshot",
    },
    inCore(
      "reconfiguration.ts",
      "raft.switchConfiguration(configuration, new Set(",
      "if (configuration.incoming.size === 0) raft.switchConfiguration(configuration, new Set(",
    ),
  ),
  mutant(
    "removed-leader-keeps-leading",
    { origin: "A.8 remove leader", kind: "L", does: "leads a group it no longer belongs to" },
    inCore("state.ts", "stepDownOnRemoval: true,", "stepDownOnRemoval: false,"),
  ),
  mutant(
    "demoted-voter-campaigns",
    { origin: "row 42", kind: "S", does: "campaigns as a learner or after its removal" },
    inCore(
      "state.ts",
      "return progress !== undefined && !progress.isLearner && !this",
      "return !this",
    ),
  ),
  mutant(
    "learners-next-stay-nowhere",
    {
      origin: "A.8 joint_learners_next",
      kind: "S",
      does: "drops demoted voters when it leaves the joint configuration",
    },
    inCore(
      "configuration.ts",
      "learners: new Set([...before.learners, ...before.learnersNext]),",
      "learners: new Set(before.learners),",
    ),
  ),
  mutant(
    "demoted-voter-is-learner-at-once",
    {
      origin: "A.8 joint_learners_next",
      kind: "S",
      does: "makes a voter of the old half a learner at the same time",
    },
    inCore(
      "configuration.ts",
      "if (this.#outgoing.has(node)) this.#learnersNext.add(node);\n    else this.#learners.add(node);",
      "this.#learners.add(node);",
    ),
  ),
  mutant(
    "promoted-learner-stays-learner",
    { origin: "row 11", kind: "L", does: "treats a promoted learner as one without a vote" },
    inCore("peers.ts", "progress.isLearner = isLearner;\n", ""),
  ),
  mutant(
    "newcomer-counts-as-silent",
    {
      origin: "A.2 progress",
      kind: "L",
      does: "takes a newcomer for one that does not answer",
      survivesBecause: "it answers the next heartbeat; at worst one leadership is lost once",
    },
    inCore("peers.ts", "if (known === undefined) progress.recentlyActive = true;", ""),
  ),
  mutant(
    "read-before-first-commit-of-term",
    {
      origin: "rows 4, 45",
      kind: "S",
      does: "serves reads before it knows what the last leader committed",
    },
    inCore(
      "reads.ts",
      "if (!committedInTerm(raft)) {\n    // Until",
      "if (raft.term < 0) {\n    // Until",
    ),
  ),
  mutant(
    "read-served-unconfirmed",
    { origin: "row 45", kind: "S", does: "serves reads without asking whether it still leads" },
    inCore(
      "reads.ts",
      "if (raft.peers.decidesAlone(raft.id)) {",
      "if (raft.peers.isVoter(raft.id)) {",
    ),
  ),
  mutant(
    "lone-voter-waits-while-joint",
    {
      origin: "etcd IsSingleton",
      kind: "L",
      does: "asks others to confirm reads though it is the only voter of both halves",
      survivesBecause:
        "a run must end with one voter, joint with itself, and no learner alive: seed 2367 was the first; reads_test.ts does",
    },
    inCore(
      "reads.ts",
      "if (raft.peers.decidesAlone(raft.id)) {",
      "if (raft.peers.decidesAlone(raft.id) && raft.peers.configuration.outgoing.size === 0) {",
    ),
  ),
  mutant(
    "read-round-reused",
    { origin: "row 21", kind: "S", does: "lets an echo of an older round confirm a newer read" },
    inCore(
      "read_rounds.ts",
      "this.#lastRound++;",
      "if (this.#waiting.length === 0) this.#lastRound++;",
    ),
  ),
  mutant(
    "read-quorum-off-by-one",
    { origin: "row 25", kind: "S", does: "lets any single echo confirm a read" },
    inCore(
      "reads.ts",
      "for (const read of raft.reads.confirm(confirmed))",
      "for (const read of raft.reads.confirm(Math.max(confirmed, round)))",
    ),
  ),
  mutant(
    "read-rounds-kept-over-terms",
    {
      origin: "row 21",
      kind: "S",
      does: "confirms reads with echoes of an older leadership",
      survivesBecause:
        "numbers of rounds go on rising, so no old echo names a new round, and terms keep old echoes out",
    },
    inCore(
      "state.ts",
      "this.uncommittedBytes = 0;\n    this.reads = new ReadRounds();",
      "this.uncommittedBytes = 0;",
    ),
  ),
  mutant(
    "early-reads-forgotten",
    { origin: "row 4", kind: "L", does: "drops reads that came before its first commit" },
    inCore(
      "replication.ts",
      "answerEarlyReads(raft, broadcastHeartbeats);\n    broadcastAppends(raft);",
      "broadcastAppends(raft);",
    ),
  ),
  mutant(
    "heartbeat-has-no-round",
    { origin: "row 24", kind: "L", does: "never confirms a read" },
    inCore("replication.ts", "round: raft.reads.lastRound,", "round: 0,"),
  ),
];
