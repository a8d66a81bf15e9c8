/**
 * What a member may claim in the name of the log's group and of gossip, whatever its part in them: numbers from the edges of
 * their ranges in messages of every kind.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Incarnation, NodeId, Random } from "../../src/base/mod.ts";
import type {
  GroupConfiguration,
  GroupStep,
  MemberClaim,
  RaftMessage,
} from "../../src/protocol/mod.ts";
import { encodeDatagram } from "./datagrams.ts";

/** Who lies, and to whom. */
export interface Ends {
  readonly from: NodeId;
  readonly to: NodeId;
}

const DAY_MS = 24 * 3_600_000;
/** Terms and indexes: near what is true, far ahead, and beyond what can be counted on from. */
const NUMBERS = [0, 1, 2, 3, 100, 10 ** 6, 2 ** 52, Number.MAX_SAFE_INTEGER];

/** A change that the liar would like. */
function greedyChange({ from }: Ends): readonly GroupStep[] {
  return [{ action: "add_voter", node: from }];
}

/** A message of the log's group, of any kind but acknowledgements of a snapshot's parts. */
export function raftLie(random: Random, ends: Ends): RaftMessage {
  const number = () => random.pick(NUMBERS) ?? 0;
  const id = { term: number(), index: number() };
  const terms = { ...ends, term: number() };
  const flag = random.chance(1, 2);
  const configuration: GroupConfiguration = {
    voters: [ends.from],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  const change = {
    transition: "auto",
    steps: greedyChange(ends),
    context: new Uint8Array(),
    form: "batch",
  } as const;
  const all: RaftMessage[] = [
    { ...terms, kind: "append_request", previous: id, entries: [], commit: number() },
    { ...terms, kind: "append_response", index: number(), rejection: undefined },
    { ...terms, kind: "heartbeat_request", commit: number(), round: number() },
    { ...terms, kind: "heartbeat_response", round: number() },
    {
      ...terms,
      kind: "snapshot_request",
      snapshot: { id, configuration, data: new Uint8Array() },
    },
    { ...terms, kind: "vote_request", preVote: flag, transfer: flag, last: id, committed: id },
    { ...terms, kind: "vote_response", preVote: flag, granted: flag, committed: id },
    { ...terms, kind: "timeout_now" },
    { ...terms, kind: "transfer_request", target: ends.from },
    { ...ends, kind: "proposal_forward", proposals: [{ kind: "group_change", change }] },
    { ...terms, kind: "read_index_response", index: number(), context: "x" },
    { ...ends, kind: "voters_response", voters: [ends.from] },
  ];
  return pick(random, all);
}

/** A datagram of gossip about a member, at most as far ahead as a liar would go. */
export function gossipLie(random: Random, ends: Ends, about: NodeId): Uint8Array<ArrayBuffer> {
  const nowMs = Date.now();
  const stamp = {
    bootEpoch: pick(random, [0, nowMs, nowMs + DAY_MS / 4, nowMs + 2 * DAY_MS, NUMBERS[7] ?? 0]),
    incarnation: pick(random, NUMBERS) as Incarnation,
  };
  const standing = pick<MemberClaim["standing"]>(random, ["alive", "suspect", "down", "left"]);
  const claim: MemberClaim = {
    nodeId: about,
    ...stamp,
    standing,
    address: standing === "alive" ? "127.0.0.1:9" : "",
    accuser: standing === "suspect" ? ends.from : undefined,
  };
  const accusation = random.chance(1, 2)
    ? undefined
    : { ...stamp, standing: pick(random, ["suspect", "down", "unknown"] as const) };
  return encodeDatagram({
    source: { bootEpoch: 1, incarnation: 0 as Incarnation },
    body: { kind: "gossip" },
    piggyback: { accusation, claims: [claim], values: [] },
  });
}

function pick<T>(random: Random, items: readonly T[]): T {
  const item = random.pick(items);
  assert.ok(item !== undefined);
  return item;
}
