import type { Edit } from "./mutant.ts";
import { mutant } from "./raft_files.ts";

function inMembership(file: string, find: string, replace: string): Edit {
  return { file: `src/core/membership/${file}`, find, replace };
}

/**
 * Bugs of other people's membership, each caught by a named test rather than by a seed: most show only after hours, in
 * odd cluster sizes, or to whoever reads the messages.
 */
export const MEMBERSHIP_MUTANTS = [
  mutant(
    "unknown-member-accusation-dropped",
    { origin: "memberlist 311", kind: "L", does: "forgets that a stranger is dead" },
    inMembership(
      "judge.ts",
      "if (!isLive(claim) && goneMs >= keptMs) return;",
      "if (!isLive(claim)) return;",
    ),
  ),
  mutant(
    "accused-is-not-told",
    { origin: "memberlist 311, 85", kind: "L", does: "pings and acks carry no accusation" },
    inMembership(
      "voice.ts",
      'if (standing !== "alive") return',
      "if (standing === undefined) return",
    ),
  ),
  mutant(
    "older-life-is-not-told",
    { origin: "nodedb 165", kind: "L", does: "a node below its past never outbids it" },
    inMembership(
      "voice.ts",
      "heardAs === undefined || isKnownAs) return undefined;",
      "heardAs === undefined || compareStamps(heardAs, member) <= 0) return undefined;",
    ),
  ),
  mutant(
    "refutation-not-on-ack",
    { origin: "nodedb 165", kind: "L", does: "answers an accusation by rumour only" },
    inMembership(
      "membership.ts",
      "introduce: said.accused, heardAs };",
      "introduce: false, heardAs };",
    ),
  ),
  mutant(
    "incarnation-not-persisted",
    { origin: "nodedb 165", kind: "D", does: "starts again below what it has said" },
    inMembership(
      "judge.ts",
      'effects.push({ kind: "persist_identity", bootEpoch, incarnation });',
      "",
    ),
  ),
  mutant(
    "failed-send-ignored",
    { origin: "memberlist 242", kind: "L", does: "waits for an answer to what never left" },
    inMembership("membership.ts", "return this.#prober.onSendFailed(event.to);", "return;"),
  ),
  mutant(
    "failed-probe-without-relays-ignored",
    { origin: "memberlist 242", kind: "L", does: "a cluster of two never finds a death" },
    inMembership(
      "prober.ts",
      "if (target !== undefined) this.#onFailed(target);",
      "if (target !== undefined && probe.askedIds.size > 0) this.#onFailed(target);",
    ),
  ),
  mutant(
    "small-cluster-misses-a-target",
    { origin: "memberlist 2026", kind: "L", does: "leaves one member out of each round" },
    inMembership(
      "roster.ts",
      "this.#liveMembers().map((member) => member.nodeId));",
      "this.#liveMembers().slice(1).map((member) => member.nodeId));",
    ),
  ),
  mutant(
    "rows-counted-in-a-byte",
    { origin: "memberlist 2021", kind: "S", does: "breaks lists of more than 255" },
    {
      file: "src/protocol/field_codec.ts",
      find: "writer.varint(values.length);",
      replace: "writer.uint8(values.length);",
    },
  ),
  mutant(
    "malformed-input-throws",
    { origin: "memberlist 2021", kind: "L", does: "one bad datagram ends the process" },
    {
      file: "src/protocol/membership_codec.ts",
      find: 'if (kind === undefined) reader.fail("unknown datagram kind");',
      replace: 'if (kind === undefined) throw new Error("kind");',
    },
  ),
  mutant(
    "origin-confirms-itself",
    { origin: "memberlist 2016", kind: "S", does: "one accuser counts for two" },
    inMembership("suspicion.ts", "new Set([accuser])", "new Set<NodeId>()"),
  ),
  mutant(
    "suspicion-not-renewed",
    { origin: "memberlist 2016", kind: "S", does: "a refuted suspicion runs on" },
    inMembership(
      "judge.ts",
      "    member.suspicionTimer = undefined;\n    member.suspicion = undefined;\n",
      '    if (claim.standing === "suspect" && member.suspicion !== undefined) return;\n',
    ),
  ),
  mutant(
    "shuffle-not-uniform",
    { origin: "memberlist 2015", kind: "L", does: "some members are probed less than others" },
    {
      file: "src/base/random.ts",
      find: "this.below(index + 1)",
      replace: "this.below(copy.length)",
    },
  ),
  mutant(
    "life-outranks-leave",
    { origin: "memberlist 2015", kind: "S", does: "a late rumour of life undoes a leave" },
    inMembership("roster.ts", "alive: 0,", "alive: 4,"),
  ),
  mutant(
    "leaving-node-refutes",
    { origin: "memberlist 2015", kind: "S", does: "contradicts its own farewell" },
    inMembership("judge.ts", "if (self.leaving || harmless) return;", "if (harmless) return;"),
  ),
  mutant(
    "accusations-without-a-limit",
    { origin: "foca 25", kind: "L", does: "answers each message with an accusation" },
    inMembership(
      "membership.ts",
      "if (coreMs - member.accusedMs < timing.gossipIntervalMs) return false;",
      "",
    ),
  ),
  mutant(
    "outlived-claims-are-refuted",
    { origin: "foca 25", kind: "L", does: "raises its incarnation for old news, for ever" },
    inMembership("judge.ts", "    if (order < 0) {", "    if (order < -9e15) {"),
  ),
  mutant(
    "the-dead-are-not-called",
    { origin: "foca 15", kind: "L", does: "never heals a partition" },
    inMembership("membership.ts", "if (member !== undefined) this.#prober.call(member);", ""),
  ),
  mutant(
    "members-without-a-limit",
    { origin: "foca 31", kind: "L", does: "grows with every stranger" },
    inMembership("roster.ts", "this.#members.size >= MEMBERS_MAX &&", "this.#members.size < 0 &&"),
  ),
  mutant(
    "gone-rows-start-anew",
    { origin: "foca 32", kind: "L", does: "hands the dead round for ever" },
    inMembership("judge.ts", "roster.add(claim, coreMs - goneMs,", "roster.add(claim, coreMs,"),
  ),
  mutant(
    "backlog-never-drains",
    { origin: "foca 19", kind: "L", does: "sends each rumour without end" },
    inMembership("rumors.ts", "if (sent < transmissionsMax)", "if (sent < transmissionsMax * 999)"),
  ),
  mutant(
    "asked-to-probe-itself",
    { origin: "foca 34", kind: "L", does: "looks for itself among the others" },
    inMembership(
      "prober.ts",
      "if (targetId === self.nodeId) return",
      "if (targetId.length === 0) return",
    ),
  ),
  mutant(
    "suspects-itself",
    { origin: "serf 336", kind: "S", does: "keeps a row of itself" },
    inMembership(
      "judge.ts",
      "if (claim.nodeId === this.#shared.self.nodeId) return",
      "if (claim.nodeId.length === 0) return",
    ),
  ),
  mutant(
    "rumour-brings-a-deleted-key-back",
    { origin: "chitchat", kind: "S", does: "an old rumour outlives the deletion" },
    inMembership("values.ts", "if (entry.version <= this.#collectedVersion) return false;", ""),
  ),
  mutant(
    "stale-teacher-brings-a-deleted-key-back",
    { origin: "chitchat", kind: "S", does: "a member that was away teaches what was deleted" },
    inMembership(
      "values.ts",
      "if (delta.collectedVersion < this.#collectedVersion) return [];",
      "",
    ),
  ),
  mutant(
    "stall-held-against-others",
    { origin: "Lifeguard", kind: "S", does: "a stalled node accuses the rest" },
    inMembership("membership.ts", "core - dueMs <= STALL_MS ||", "core - dueMs >= 0 ||"),
  ),
  mutant(
    "no-local-health",
    {
      origin: "Lifeguard",
      kind: "S",
      does: "is as quick to accuse when it is slow itself",
    },
    inMembership("prober.ts", "Math.max(0, this.#health + by)", "0"),
  ),
  mutant(
    "confirmations-do-not-count",
    { origin: "Lifeguard", kind: "L", does: "every suspicion takes its longest time" },
    inMembership("suspicion.ts", "this.#accusers.add(accuser);\n    return true;", "return true;"),
  ),
  mutant(
    "no-last-calls",
    { origin: "SWIM 4.2", kind: "S", does: "buries a member without asking it once more" },
    inMembership("judge.ts", "const LAST_CALLS = 2;", "const LAST_CALLS = 0;"),
  ),
  mutant(
    "no-push-pull",
    { origin: "B.5 rule: push-pull always", kind: "L", does: "what rumours missed stays missed" },
    inMembership(
      "membership.ts",
      "if (member !== undefined) this.#sync.request(member, { joining: false });",
      "",
    ),
  ),
];
