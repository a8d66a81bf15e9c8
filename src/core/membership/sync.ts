import type { NodeId, Random, StateKeeper } from "../../base/mod.ts";
import {
  type MembershipSync,
  SYNC_BUCKETS,
  SYNC_BYTES_MAX,
  type SyncRow,
  syncRowBytes,
  type ValueDelta,
  valueEntryBytes,
} from "../../protocol/mod.ts";
import type { Contact } from "./events.ts";
import { deltaOf, type Firsthand } from "./firsthand.ts";
import type { Judge } from "./judge.ts";
import { compareClaims, type Member } from "./roster.ts";
import { claimOfSelf, type Shared } from "./shared.ts";
import { MEMBERS_MAX, SYNC_ROWS_MAX } from "./timing.ts";
import type { Voice } from "./voice.ts";

type SyncBody<Kind extends MembershipSync["body"]["kind"]> = Extract<
  MembershipSync["body"],
  { readonly kind: Kind }
>;

/** Room kept for the fixed parts of a message. */
const HEAD_BYTES = 512;
/** Bytes of a delta or want besides its entries, at most. */
const DELTA_HEAD_BYTES = 64;

/**
 * Push-pull: two members compare hashes of their lists bucket by bucket and exchange what differs, of values each its own;
 * where a third member's differ, that one is asked. One-way messages without a session: a lost one costs nothing but the
 * wait for the next round.
 */
export class Sync {
  readonly #shared: Shared;
  readonly #voice: Voice;
  readonly #judge: Judge;
  readonly #firsthand: Firsthand;
  readonly #random: Random;

  constructor(
    shared: Shared,
    voice: Voice,
    parts: { readonly judge: Judge; readonly firsthand: Firsthand },
  ) {
    this.#shared = shared;
    this.#voice = voice;
    this.#judge = parts.judge;
    this.#firsthand = parts.firsthand;
    this.#random = shared.random.fork();
  }

  keep(keeper: StateKeeper): void {
    this.#random.keep(keeper);
  }

  /** Opens a push-pull. A joining node takes the whole list at once. */
  request(to: Contact, options: { readonly joining: boolean }): void {
    const salt = this.#random.uint32();
    this.#voice.sendSync(to, {
      kind: "sync_request",
      salt,
      rowsMax: options.joining ? MEMBERS_MAX : SYNC_ROWS_MAX,
      self: claimOfSelf(this.#shared.self),
      bucketHashes: hashBuckets(this.#rows(), salt),
    });
  }

  /** Takes any of the messages; rows of members that `admits` refuses are passed over. */
  receive(from: Contact, message: MembershipSync, admits: (nodeId: NodeId) => boolean): void {
    const { body } = message;
    if (body.kind === "sync_request") return this.#onRequest(from, body);
    const rows = body.rows.filter((row) => admits(row.claim.nodeId));
    if (body.kind === "sync_rows") return this.#onRows(from, { ...body, rows });
    this.#onUpdate(from, { ...body, rows });
  }

  #onRequest(from: Contact, body: SyncBody<"sync_request">): void {
    // Only a node itself may introduce itself here; anything else would be a claim without an origin.
    if (body.self.nodeId === from.nodeId) this.#judge.hear(body.self, { from: from.nodeId });
    const rows = this.#rows();
    const own = hashBuckets(rows, body.salt);
    const rowsMax = Math.min(body.rowsMax, MEMBERS_MAX);
    const byBucket = groupByBucket(rows);
    const buckets: number[] = [];
    const chosen: SyncRow[] = [];
    let bytes = HEAD_BYTES;
    // From a random bucket on, so that a list longer than one message is covered over the rounds.
    const start = this.#random.below(SYNC_BUCKETS);
    for (let step = 0; step < SYNC_BUCKETS; step++) {
      const bucket = (start + step) % SYNC_BUCKETS;
      if (own[bucket] === body.bucketHashes[bucket]) continue;
      const inBucket = byBucket[bucket] ?? [];
      bytes += inBucket.reduce((sum, row) => sum + syncRowBytes(row), 0);
      if (chosen.length + inBucket.length > rowsMax || bytes > SYNC_BYTES_MAX) break;
      buckets.push(bucket);
      chosen.push(...inBucket);
    }
    if (buckets.length === 0) return;
    this.#voice.sendSync(from, { kind: "sync_rows", buckets, rows: chosen });
  }

  #onRows(from: Contact, body: SyncBody<"sync_rows">): void {
    const theirs = new Map(body.rows.map((row) => [row.claim.nodeId, row]));
    const covered = new Set(body.buckets);
    // Compared before their rows are merged: what they lack is what they did not say.
    const rows = this.#rows().filter((row) => {
      if (!covered.has(bucketOf(row.claim.nodeId))) return false;
      const their = theirs.get(row.claim.nodeId);
      return their === undefined || compareClaims(row.claim, their.claim) > 0;
    });
    this.#hearRows(from, body.rows);
    const bytes = HEAD_BYTES + rows.reduce((sum, row) => sum + syncRowBytes(row), 0);
    const deltas: ValueDelta[] = [];
    for (const row of body.rows) {
      this.#firsthand.hearRow(from, row);
      const delta = this.#owedTo(row);
      if (delta !== undefined && bytes + deltaBytes(delta) <= SYNC_BYTES_MAX) deltas.push(delta);
    }
    if (rows.length + deltas.length === 0) return;
    this.#voice.sendSync(from, { kind: "sync_update", rows, deltas, wants: [] });
  }

  #onUpdate(from: Contact, body: SyncBody<"sync_update">): void {
    this.#hearRows(from, body.rows);
    for (const delta of body.deltas) this.#firsthand.hearDelta(from, delta);
    const deltas: ValueDelta[] = [];
    let bytes = HEAD_BYTES;
    for (const want of body.wants) {
      const delta = this.#firsthand.answer(want);
      if (delta === undefined) continue;
      bytes += deltaBytes(delta);
      if (bytes > SYNC_BYTES_MAX) break;
      deltas.push(delta);
    }
    if (deltas.length === 0) return;
    this.#voice.sendSync(from, { kind: "sync_update", rows: [], deltas, wants: [] });
  }

  /** What the speaker of a row about this node lacks of this node's values. */
  #owedTo(row: SyncRow): ValueDelta | undefined {
    const { self } = this.#shared;
    const { nodeId, bootEpoch } = row.claim;
    if (nodeId !== self.nodeId || bootEpoch !== self.bootEpoch) return undefined;
    const { valueVersion: fromVersion, collectedVersion } = row;
    return fromVersion < self.values.version
      ? deltaOf(self, { fromVersion, collectedVersion })
      : undefined;
  }

  #hearRows(from: Contact, rows: readonly SyncRow[]): void {
    for (const row of rows) {
      this.#judge.hear(row.claim, { from: from.nodeId, goneSeconds: row.goneSeconds });
    }
  }

  #rows(): SyncRow[] {
    const { self, roster, coreMs } = this.#shared;
    const rows = [rowOf(claimOfSelf(self), 0, self.values)];
    for (const member of roster.all()) {
      const { nodeId, standing, bootEpoch, incarnation, address } = member;
      const accuser = member.suspicion?.accuser;
      const claim = { nodeId, standing, bootEpoch, incarnation, address, accuser };
      const goneMs = member.goneMs === undefined ? 0 : Math.max(0, coreMs - member.goneMs);
      rows.push(rowOf(claim, Math.trunc(goneMs / 1000), member.values));
    }
    return rows;
  }
}

function rowOf(claim: SyncRow["claim"], goneSeconds: number, values: Member["values"]): SyncRow {
  const { version: valueVersion, collectedVersion } = values;
  return { claim, goneSeconds, valueVersion, collectedVersion };
}

function deltaBytes(delta: ValueDelta): number {
  return delta.entries.reduce((sum, entry) => sum + valueEntryBytes(entry), DELTA_HEAD_BYTES);
}

/** FNV-1a over the low 32 bits: spreads ids that were chosen without care. */
function mix(hash: number, value: number): number {
  return Math.imul(hash ^ (value >>> 0), 0x01000193) >>> 0;
}

function mixNodeId(hash: number, nodeId: NodeId): number {
  return mix(mix(hash, parseInt(nodeId.slice(0, 8), 16)), parseInt(nodeId.slice(8), 16));
}

function bucketOf(nodeId: NodeId): number {
  const hash = mixNodeId(0x811c9dc5, nodeId);
  return ((hash ^ (hash >>> 16)) >>> 0) % SYNC_BUCKETS;
}

function groupByBucket(rows: readonly SyncRow[]): SyncRow[][] {
  const groups: SyncRow[][] = Array.from({ length: SYNC_BUCKETS }, () => []);
  for (const row of rows) groups[bucketOf(row.claim.nodeId)]?.push(row);
  return groups;
}

const STANDING_SALT = { alive: 1, suspect: 2, down: 3, left: 4 } as const;

/** One hash per bucket; a sum, so that the order of rows does not matter. */
function hashBuckets(rows: readonly SyncRow[], salt: number): number[] {
  const hashes = new Array<number>(SYNC_BUCKETS).fill(salt);
  for (const { claim, valueVersion, collectedVersion } of rows) {
    let hash = mixNodeId(salt, claim.nodeId);
    const { bootEpoch, incarnation } = claim;
    for (const field of [bootEpoch, incarnation, valueVersion, collectedVersion]) {
      hash = mix(mix(hash, field), Math.trunc(field / 2 ** 32));
    }
    hash = mix(hash, STANDING_SALT[claim.standing]);
    // A last scramble: FNV's low bits alone would let sums of similar rows cancel.
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
    const bucket = bucketOf(claim.nodeId);
    hashes[bucket] = ((hashes[bucket] ?? 0) + hash) >>> 0;
  }
  return hashes;
}
