import { inCore, inVoting, mutant } from "./raft_files.ts";

/** Votes, pre-votes, check-quorum and transfers of leadership. */
export const ELECTION_MUTANTS = [
  mutant(
    "quorum-off-by-one-for-even-groups",
    { origin: "row 3", kind: "S", does: "takes half of an even group for a majority" },
    inVoting("quorum.ts", "Math.floor(voterCount / 2) + 1", "Math.ceil(voterCount / 2)"),
  ),
  mutant(
    "pre-vote-of-older-term-unanswered",
    {
      origin: "rows 5, 38, 42",
      kind: "L",
      does: "leaves a pre-candidate of an older term alone",
      survivesBecause:
        "takes two terms between a short log and the only other node left, which seeds do not meet; election_test.ts does",
    },
    inCore(
      "raft.ts",
      'kind === "vote_request" && message.preVote) {',
      'kind === "vote_request" && message.preVote && raft.term === 0) {',
    ),
  ),
  mutant(
    "leader-of-older-term-unanswered",
    { origin: "row 6", kind: "L", does: "lets a leader of an older term believe that it leads" },
    inCore("raft.ts", "if ((checkQuorum || preVote) && (", "if (raft.term === 0 && ("),
  ),
  mutant(
    "pre-candidate-keeps-leader",
    { origin: "row 6", kind: "L", does: "refuses votes for a leader it gave up" },
    inCore(
      "state.ts",
      'this.peers.clearVotes();\n    this.leader = undefined;\n    this.#become("pre_candidate");',
      'this.peers.clearVotes();\n    this.#become("pre_candidate");',
    ),
  ),
  mutant(
    "pre-candidate-keeps-votes",
    {
      origin: "row 6",
      kind: "L",
      does: "counts refusals of an earlier campaign",
      survivesBecause: "a lost pre-election makes a follower first, which forgets the votes",
    },
    inCore(
      "state.ts",
      'this.peers.clearVotes();\n    this.leader = undefined;\n    this.#become("pre_candidate");',
      'this.leader = undefined;\n    this.#become("pre_candidate");',
    ),
  ),
  mutant(
    "candidate-keeps-pre-votes",
    { origin: "row 6", kind: "S", does: "counts granted pre-votes as votes" },
    inCore(
      "state.ts",
      "this.abortTransfer();\n    this.peers.clearVotes();",
      "this.abortTransfer();",
    ),
  ),
  mutant(
    "pre-vote-and-check-quorum-off",
    { origin: "row 12", kind: "L", does: "lets a half-connected node depose every leader" },
    inCore(
      "state.ts",
      "preVote: true,\n  checkQuorum: true,",
      "preVote: false,\n  checkQuorum: false,",
    ),
  ),
  mutant(
    "check-quorum-never-steps-down",
    { origin: "row 12", kind: "L", does: "keeps leading though nobody answers" },
    inCore("raft.ts", "if (!raft.peers.quorumActive) {", "if (raft.peers.voters.length === 0) {"),
  ),
  mutant(
    "pre-vote-counts-as-leader-contact",
    { origin: "row 22", kind: "L", does: "refuses the vote after granting the pre-vote" },
    inCore(
      "election.ts",
      "if (granted && !preVote) {",
      "if (granted) raft.electionElapsedTicks = 0;\n  if (granted && preVote) raft.leader = from;\n  if (granted && !preVote) {",
    ),
  ),
  mutant(
    "refused-pre-vote-teaches-no-term",
    { origin: "row 28", kind: "L", does: "stays in an old term when pre-votes are refused" },
    inCore(
      "raft.ts",
      "if (!message.preVote || !message.granted) raft.becomeFollower",
      "if (!message.preVote) raft.becomeFollower",
    ),
  ),
  mutant(
    "transfer-never-times-out",
    { origin: "row 23", kind: "L", does: "waits for ever for a transfer's target" },
    inCore("raft.ts", "if (raft.transferTarget !== undefined) raft.abortTransfer();", ""),
  ),
  mutant(
    "transfer-refused-like-any-vote",
    {
      origin: "row 23",
      kind: "L",
      does: "refuses the target of a transfer because a leader lives",
    },
    inCore(
      "raft.ts",
      "if (!message.transfer && raft.heardLeaderLately)",
      "if (raft.heardLeaderLately)",
    ),
  ),
  mutant(
    "transfer-goes-on-under-writes",
    { origin: "row 23", kind: "L", does: "takes proposals while the target catches up" },
    inCore(
      "reconfiguration.ts",
      "if (raft.transferTarget !== undefined) {\n    return refuse",
      "if (raft.transferTarget === raft.id) {\n    return refuse",
    ),
  ),
  mutant(
    "transfer-never-sends-timeout-now",
    { origin: "row 23", kind: "L", does: "forgets the target once it has caught up" },
    inCore(
      "replication.ts",
      "if (message.from === raft.transferTarget && progress.match",
      "if (message.from !== raft.id && message.from === raft.id && progress.match",
    ),
  ),
  mutant(
    "election-timeouts-all-equal",
    { origin: "row 35", kind: "L", does: "makes all nodes campaign in the same tick" },
    inCore("state.ts", "this.#random.below(this.options.electionTicks)", "0"),
  ),
  mutant(
    "two-votes-in-a-term",
    { origin: "paper 5.2", kind: "S", does: "votes for whoever asks" },
    inCore(
      "election.ts",
      "(raft.vote === undefined && raft.leader === undefined)",
      "raft.leader === undefined",
    ),
  ),
  mutant(
    "votes-for-shorter-logs",
    { origin: "paper 5.4.1", kind: "S", does: "votes without comparing logs" },
    inCore(
      "election.ts",
      "const granted = free && raft.log.isUpToDate(message.last);",
      "const granted = free;",
    ),
  ),
  mutant(
    "vote-compares-lengths-only",
    { origin: "row 25", kind: "S", does: "prefers the longer log to the newer term" },
    inCore(
      "log.ts",
      "return other.term > own.term || (other.term === own.term && other.index >= own.index);",
      "return other.index >= own.index;",
    ),
  ),
  mutant(
    "vote-ignores-lengths",
    { origin: "paper 5.4.1", kind: "S", does: "votes for a shorter log of the same term" },
    inCore(
      "log.ts",
      "other.term === own.term && other.index >= own.index",
      "other.term === own.term",
    ),
  ),
  mutant(
    "learner-refuses-to-vote",
    {
      origin: "row 11",
      kind: "L",
      does: "refuses its vote as long as it takes itself for a learner",
    },
    inCore(
      "election.ts",
      "const granted = free && ",
      "const granted = free && raft.peers.find(raft.id)?.isLearner === false && ",
    ),
  ),
  mutant(
    "vote-kept-over-terms",
    { origin: "paper 5.2", kind: "L", does: "has one vote for all terms" },
    inCore("state.ts", "this.term = term;\n      this.vote = undefined;", "this.term = term;"),
  ),
  mutant(
    "old-term-messages-obeyed",
    { origin: "paper 5.1", kind: "S", does: "follows leaders of older terms" },
    inCore("raft.ts", "if (message.term < raft.term) return this.#onOldTerm(message);", ""),
  ),
  mutant(
    "election-votes-answer-pre-votes",
    { origin: "row 6", kind: "S", does: "counts late pre-votes in the election" },
    inCore(
      "raft.ts",
      'return message.preVote === (raft.role === "pre_candidate")\n          ? onVoteResponse(raft, message)\n          : ACCEPTED;',
      "return onVoteResponse(raft, message);",
    ),
  ),
  mutant(
    "candidate-ignores-leader-of-its-term",
    { origin: "paper 5.2", kind: "L", does: "goes on campaigning against a leader of its term" },
    inCore(
      "raft.ts",
      "raft.becomeFollower(message.term, message.from);\n        return this.#stepFollower(message);",
      "return ACCEPTED;",
    ),
  ),
  mutant(
    "follower-never-hears-its-leader",
    { origin: "paper 5.2", kind: "L", does: "lets heartbeats pass without resetting its timer" },
    inCore(
      "raft.ts",
      "this.state.electionElapsedTicks = 0;\n    this.state.leader = leader;",
      "this.state.leader = leader;",
    ),
  ),
];
