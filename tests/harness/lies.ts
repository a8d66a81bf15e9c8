/**
 * What a member may claim in the name of the log's group and of gossip, whatever its part in them: numbers from the edges of
 * their ranges in messages of every kind.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Incarnation, NodeId, Random } from "../../src/base/mod.ts";
import {
  encodeInventory,
  encodeNodeFacts,
  encodeNodeLoad,
  encodeSync,
  type GroupConfiguration,
  type GroupStep,
  type ManifestPrefix,
  type MemberClaim,
  NODE_FACTS_KEY,
  NODE_LOAD_KEY,
  type RaftMessage,
  type ValueEntry,
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

/** A version of odist that no node has: where it shows, a forged value was believed. */
export const FORGED_VERSION = "6.6.6";

/** Whose values are forged, in which life. */
export interface Life {
  readonly nodeId: NodeId;
  readonly bootEpoch: number;
}

function hex(random: Random): ManifestPrefix {
  const half = () => random.uint32().toString(16).padStart(8, "0");
  return `${half()}${half()}` as ManifestPrefix;
}

/** A change of another's facts, load or inventory, of a version that it has come to or will come to. */
function forgedEntry(random: Random): ValueEntry {
  const manifests = Array.from({ length: 8 }, () => hex(random)).sort();
  const values: readonly (readonly [string, Uint8Array | undefined])[] = [
    [
      NODE_FACTS_KEY,
      encodeNodeFacts({
        name: "forged",
        version: FORGED_VERSION,
        catalogueSchema: 1,
        clusterAddress: "127.0.0.1:9",
        cores: 1,
        numericClass: "",
        wire: 1,
      }),
    ],
    [
      NODE_LOAD_KEY,
      encodeNodeLoad({
        runningRequests: 0,
        waitingRequests: 0,
        slots: 64,
        freeSlots: 64,
        decodeTokensPerMinute: 1_000_000,
        prefillTokensPerMinute: 1_000_000,
        availableBytes: 2 ** 50,
      }),
    ],
    ...encodeInventory(manifests),
  ];
  const [key, value] = pick(random, values);
  return { key, version: 1 + random.below(200), value };
}

/** What another node never said, on a datagram. */
export function valueLie(random: Random, about: Life): Uint8Array<ArrayBuffer> {
  const entry = forgedEntry(random);
  const { version } = entry;
  return encodeDatagram({
    source: { bootEpoch: 1, incarnation: 0 as Incarnation },
    body: { kind: "gossip" },
    piggyback: { accusation: undefined, claims: [], values: [{ ...about, version, entry }] },
  });
}

/** The same as an answer on a stream. */
export function valuesLie(random: Random, about: Life): Uint8Array<ArrayBuffer> {
  const entry = forgedEntry(random);
  const toVersion = pick(random, [entry.version, 2 ** 40, 2 ** 52]);
  const range = { fromVersion: 0, toVersion, collectedVersion: random.below(100) };
  const deltas = [{ ...about, ...range, entries: [entry] }];
  return encodeSync({
    source: { bootEpoch: 1, incarnation: 0 as Incarnation },
    body: { kind: "sync_update", rows: [], deltas, wants: [] },
  });
}

function pick<T>(random: Random, items: readonly T[]): T {
  const item = random.pick(items);
  assert.ok(item !== undefined);
  return item;
}
