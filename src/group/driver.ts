import { setImmediate } from "node:timers";
import { assert, bugReport, errorMessage, type NodeId, StorageError } from "../base/mod.ts";
import {
  Catalogue,
  chooseHeir,
  judgeForwarded,
  type Outcome,
  ownedNonce,
  ReportLimits,
} from "../core/catalogue/mod.ts";
import {
  type AppendOrder,
  type ApplyOrder,
  RAFT_DEFAULTS,
  type RaftInput,
  type RaftNote,
  type RaftView,
  type Ready,
  type SoftState,
} from "../core/raft/mod.ts";
import { RecordedRaft } from "../core/raft_calls/mod.ts";
import {
  type CatalogueCommand,
  decodeRaftFrame,
  encodeRaftFrames,
  type Entry,
  type GroupChange,
  type GroupConfiguration,
  type HardState,
  ORIGIN_SCHEMA,
  type ProposalForward,
  type RaftWireMessage,
  SESSION_NONCE_BYTES,
  type Snapshot,
  type SnapshotChunk,
  type SnapshotRequest,
} from "../protocol/mod.ts";
import { GroupChanges, isOnlyVoter } from "./changes.ts";
import {
  type AppliedNews,
  type Fence,
  type Group,
  type GroupParts,
  type HeartbeatNews,
  type Patience,
  unavailable,
} from "./group.ts";
import { Outbox } from "./outbox.ts";
import { Proposals, type ProposeOptions } from "./proposals.ts";
import { QuorumWatch, type Reading } from "./quorum_watch.ts";
import { Reads } from "./reads.ts";
import { isLie, RefusedFrames } from "./refused_frames.ts";
import { SnapshotTransfers } from "./snapshot_transfers.ts";
import { type GroupTiming, Ticker } from "./timing.ts";

/** Frames that wait for their turn; Raft asks again for what is dropped. */
const FRAMES_WAITING_MAX = 4_096;
/** Times in a row that Raft may want something; healthy ones need a handful. */
const ROUNDS_MAX = 10_000;
/** Entries a learner may lack and still count as caught up. */
const LEARNER_LAG_MAX = 100;
const PROPOSE_TIMEOUT_MS = 10_000;
const NO_BYTES = new Uint8Array(0);

/** An order on its way to the disk. */
interface Writing {
  readonly order: AppendOrder;
  /** From the start when it only waits for those before it. */
  isDurable: boolean;
}

/** Ticks that a commit index waits for a write to go along with: without it a killed node starts with less than it told. */
const LAZY_TICKS_MAX = 20;

/**
 * Drives Raft: one queue of events into the core, drained in one turn of the event loop so that what comes together is one
 * batch; its orders go to the log, its messages to the transport, its entries to the catalogue.
 */
export class GroupDriver implements Group {
  readonly #parts: GroupParts & { readonly timing: GroupTiming };
  readonly #raft: RecordedRaft;
  readonly #proposals: Proposals;
  readonly #reads: Reads;
  readonly #reports = new ReportLimits();
  readonly #quorum: QuorumWatch;
  readonly #changes = new GroupChanges();
  readonly #transfers: SnapshotTransfers;
  readonly #ticker: Ticker;
  readonly #appliedListeners = new Set<(news: AppliedNews) => void>();
  readonly #heartbeatListeners = new Set<(news: HeartbeatNews) => void>();
  readonly #changeListeners = new Set<() => void>();
  #catalogue: Catalogue;
  #state: "running" | "fenced" | "closed" = "running";
  #fence: Fence | undefined;

  #events: (() => void)[] = [];
  #isDrainPlanned = false;
  #framesWaiting = 0;
  readonly #outbox: Outbox;
  /** Orders of this turn. */
  #orders: AppendOrder[] = [];
  /** Oldest first; answered in this order. */
  readonly #writing: Writing[] = [];
  /** A commit index that need not be durable by itself: it goes along with the next write. */
  #lazyHardState: HardState | undefined;
  #lazyTicks = 0;

  #soft: SoftState = { role: "follower", leader: undefined };
  #term: number;
  #hasChanged = false;
  #wasRestored = false;
  readonly #appliedKinds = new Set<CatalogueCommand["kind"]>();
  #announcedIndex: number;
  /** Taken apart before Raft was told of them, so that it never relies on one that can't be used. */
  readonly #arrived = new WeakMap<Snapshot, Catalogue>();
  #savedIndex: number;
  #bytesSinceSaved = 0;
  readonly #refused: RefusedFrames;
  /** Ticks until an early election, when gossip takes the leader for dead. */
  #campaignInTicks: number | undefined;

  constructor(parts: GroupParts & { readonly timing: GroupTiming }, catalogue: Catalogue) {
    this.#parts = parts;
    this.#catalogue = catalogue;
    this.#announcedIndex = catalogue.appliedIndex;
    this.#savedIndex = catalogue.appliedIndex;
    const { nodeId: id, store, random, timing, clock } = parts;
    this.#term = store.initial().hardState.term;
    this.#raft = new RecordedRaft(
      {
        ...RAFT_DEFAULTS,
        id,
        electionTicks: timing.electionTicks,
        heartbeatTicks: timing.heartbeatTicks,
        learnerHeartbeats: timing.learnerHeartbeats,
        applied: catalogue.appliedIndex,
      },
      // Of its own: what others draw meanwhile would be missing from what is recorded of it.
      { stable: store, random: random.fork(), recorder: parts.recorder },
    );
    this.#refused = new RefusedFrames({
      ...parts,
      isMember: (peer) => this.#catalogue.findMember(peer) !== undefined,
    });
    this.#ticker = new Ticker({
      clock,
      tickMs: timing.tickMs,
      untilDue: () => this.#ticksUntilDue(),
      leads: () => this.#soft.role === "leader",
      tick: (nowMs) => this.#tick(nowMs),
      wake: (take) => this.#enqueue(take),
    });
    this.#proposals = new Proposals({
      send: (batch) => this.#raft.proposeAll(batch).kind === "accepted",
      drawNonce: () => ownedNonce(id, crypto.getRandomValues(new Uint8Array(SESSION_NONCE_BYTES))),
    });
    this.#reads = new Reads({
      ask: (context) => this.#raft.readIndex(context).kind === "accepted",
      contextPrefix: crypto.getRandomValues(new Uint8Array(8)).toHex(),
    });
    this.#quorum = new QuorumWatch({
      read: (look, options) => this.read(look, options),
      catalogue: () => this.#catalogue,
      configuration: () => this.#raft.view().configuration,
      isThere: (voter) => voter === id || parts.isDown?.(voter) !== true,
      clock,
    });
    this.#outbox = new Outbox({ clock, send: (to, messages) => this.#send(to, messages) });
    this.#transfers = new SnapshotTransfers({
      send: (message) => this.#outbox.post(message),
      ended: (to, delivery) => this.#raft.reportSnapshot(to, delivery),
      arrived: (request) => this.#onSnapshot(request),
      refused: (chunk, reason) => this.#refuse(chunk.from, `snapshot: ${reason}`),
    });
  }

  /** Begins to tick. */
  start(): void {
    const { damage } = this.#parts;
    if (damage !== undefined) return this.#fenceOff({ kind: "storage", reason: damage });
    this.#parts.room?.onChanged(() => this.#onRoomChanged());
    this.#campaignAlone(this.#raft.view().configuration);
    this.#enqueue(() => {});
    this.#quorum.doubt();
  }

  get catalogue(): Catalogue {
    return this.#catalogue;
  }

  get fenced(): Fence | undefined {
    const reason = this.#parts.room?.reason;
    return this.#fence ?? (reason === undefined ? undefined : { kind: "storage", reason });
  }

  propose(command: CatalogueCommand, options: ProposeOptions = {}): Promise<Outcome> {
    const { signal, timeoutMs = PROPOSE_TIMEOUT_MS } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    // Without a durable log this node would never hear what became of it.
    if (this.#state !== "running" || this.fenced !== undefined) {
      return Promise.reject(this.#unavailable());
    }
    const deadlineMs = this.#parts.clock.monotonicMs() + timeoutMs;
    // Members of an older version can't read who had it made.
    const isRead = this.#catalogue.schema >= ORIGIN_SCHEMA;
    const origin = isRead ? this.#parts.originOf?.(command) : undefined;
    const outcome = this.#proposals.add(command, { deadlineMs, signal, origin });
    this.#planDrain();
    return outcome;
  }

  read<T>(look: (catalogue: Catalogue) => T, options: Patience): Promise<T> {
    if (this.#state !== "running") return Promise.reject(this.#unavailable());
    const deadlineMs = this.#parts.clock.monotonicMs() + options.timeoutMs;
    const result = this.#reads.add(look, deadlineMs);
    this.#planDrain();
    return result;
  }

  readOrStale<T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly waitMs: number },
  ): Promise<Reading<T>> {
    return this.#quorum.readOrStale(look, options);
  }

  get quorumLostAtMs(): number | undefined {
    return this.#quorum.lostAtMs;
  }

  view(): RaftView {
    const view = this.#raft.view();
    if (this.#state === "running") return view;
    return { ...view, role: "follower", leader: undefined, peers: [] };
  }

  caughtUpLearners(): readonly NodeId[] {
    return this.#state === "running" ? this.#raft.caughtUpLearners(LEARNER_LAG_MAX) : [];
  }

  changeGroup(change: GroupChange, options: Patience): Promise<GroupConfiguration> {
    if (this.#state !== "running") return Promise.reject(this.#unavailable());
    const deadlineMs = this.#parts.clock.monotonicMs() + options.timeoutMs;
    const { marked, result } = this.#changes.add(change, deadlineMs);
    this.#enqueue(() => {
      if (this.#soft.role !== "leader") {
        return this.#changes.fail(marked, "this node does not lead");
      }
      // What was decided before must be out of the way: the notes that follow are about this change.
      this.#work();
      const outcome = this.#raft.proposeChange(marked);
      if (outcome.kind === "refused") return this.#changes.fail(marked, outcome.detail);
      this.#changes.onProposed(marked);
      this.#work();
      this.#changes.endProposing();
    });
    return result;
  }

  transferLeadership(to: NodeId): void {
    this.#enqueue(() => this.#raft.transferLeadership(to));
  }

  receive(from: NodeId, frame: Uint8Array): void {
    if (this.#state !== "running") return;
    if (this.#framesWaiting >= FRAMES_WAITING_MAX) return this.#refuse(from, "too many frames");
    this.#framesWaiting++;
    this.#quorum.hear(from);
    this.#enqueue(() => {
      this.#framesWaiting--;
      assert(this.#framesWaiting >= 0, "No frame is taken up twice", { from });
      this.#onFrame(from, frame);
    });
  }

  reportUnreachable(peer: NodeId): void {
    this.#enqueue(() => this.#raft.reportUnreachable(peer));
  }

  hintLeaderDown(leader: NodeId): void {
    this.#enqueue(() => {
      if (this.#soft.leader !== leader || this.#soft.role !== "follower") return;
      this.#raft.forgetLeader();
      // Not all at once: those who hear of it together would split the votes.
      const { electionTicks } = this.#parts.timing;
      this.#campaignInTicks ??= 1 + this.#parts.random.below(Math.ceil(electionTicks / 2));
    });
  }

  onApplied(listener: (news: AppliedNews) => void): () => void {
    this.#appliedListeners.add(listener);
    return () => this.#appliedListeners.delete(listener);
  }

  onChanged(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  onHeartbeat(listener: (news: HeartbeatNews) => void): () => void {
    this.#heartbeatListeners.add(listener);
    return () => this.#heartbeatListeners.delete(listener);
  }

  end(fence: Fence): void {
    if (this.#state !== "running") return;
    // What its log knows to be agreed on it goes on answering from; it has perhaps just been opened.
    for (let ready = this.#raft.ready(); ready.apply !== undefined; ready = this.#raft.ready()) {
      this.#apply(ready.apply);
    }
    this.#announce();
    this.#fenceOff(fence);
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const wasRunning = this.#state === "running";
    this.#state = "closed";
    this.#parts.room?.close();
    this.#quorum.close();
    this.#ticker.stop();
    this.#outbox.clear();
    this.#events = [];
    this.#failAll();
    const { store, log } = this.#parts;
    // Not needed for safety; it spares the next start from asking what was committed.
    const hardState = this.#lazyHardState;
    try {
      if (wasRunning && hardState !== undefined) {
        await store.write({ hardState, entries: [], snapshot: undefined });
      }
      await store.close();
    } catch (error) {
      log.log("error", "raft_log_not_closed", { reason: errorMessage(error) });
    }
  }

  #enqueue(event: () => void): void {
    if (this.#state !== "running") return;
    this.#events.push(event);
    this.#planDrain();
  }

  #planDrain(): void {
    if (this.#isDrainPlanned) return;
    this.#isDrainPlanned = true;
    setImmediate(() => {
      this.#isDrainPlanned = false;
      this.#drain();
    });
  }

  /** One turn: all that has come, as one batch. */
  #drain(): void {
    let isDone = false;
    try {
      isDone = this.#takeTurn();
    } catch (error) {
      this.#breakOff(error);
    }
    if (isDone) this.#announce();
  }

  /** False when this node's part ended meanwhile. */
  #takeTurn(): boolean {
    const events = this.#events;
    this.#events = [];
    this.#ticker.take({ due: false });
    for (const event of events) {
      if (this.#state !== "running") return false;
      event();
    }
    if (this.#state !== "running") return false;
    this.#proposals.flush();
    this.#reads.flush();
    this.#work();
    this.#sendOff();
    if (this.#state === "running") this.#ticker.wakeInTime();
    return true;
  }

  /** Carries out what Raft wants until it wants nothing more. */
  #work(): void {
    let rounds = 0;
    while (this.#state === "running" && this.#raft.hasReady()) {
      assert(++rounds < ROUNDS_MAX, "Raft must come to rest", { rounds });
      this.#carryOut(this.#raft.ready());
    }
    this.#reads.serve(this.#catalogue);
  }

  #carryOut(ready: Ready): void {
    for (const note of ready.notes) this.#onNote(note);
    this.#onReign(ready);
    for (const message of ready.messages) {
      if (message.kind === "snapshot_request") this.#transfers.start(message);
      else this.#outbox.post(message);
      if (message.kind === "heartbeat_request") this.#tellHeartbeat(message.to, "sent");
    }
    if (ready.append !== undefined) {
      if (ready.append.mustSync) this.#order(ready.append);
      else this.#postpone(ready.append);
    }
    for (const state of ready.readStates) this.#reads.onReadState(state);
    if (ready.apply !== undefined) this.#apply(ready.apply);
  }

  #order(order: AppendOrder): void {
    this.#orders.push(order);
    if (order.hardState !== undefined) this.#lazyHardState = undefined;
  }

  /**
   * An order without anything that must be durable: its commit index waits for the next write, because a sync of its own
   * would stand in that one's way; its answers wait for the writes before it, because they promise those.
   */
  #postpone(order: AppendOrder): void {
    this.#lazyHardState = order.hardState ?? this.#lazyHardState;
    if (order.answers.length === 0) return;
    if (this.#orders.length > 0) {
      this.#orders.push({ ...order, hardState: undefined });
    } else if (this.#writing.length > 0) {
      this.#writing.push({ order, isDurable: true });
    } else {
      this.#answer(order.answers);
    }
  }

  #answer(answers: readonly RaftInput[]): void {
    for (const answer of answers) {
      const isOwn = answer.kind === "append_done" || answer.kind === "apply_done" ||
        answer.to === this.#parts.nodeId;
      if (isOwn) this.#step(answer);
      else this.#outbox.post(answer);
    }
  }

  #step(input: RaftInput): void {
    const outcome = this.#raft.step(input);
    if (outcome.kind === "accepted") return;
    const { reason, detail } = outcome;
    if (reason === "log_lost" || reason === "conflicts_with_committed") {
      this.#fenceOff({
        kind: reason,
        reason: `this node's log contradicts the group's: ${detail}`,
      });
    } else if ("from" in input && isLie(reason)) {
      this.#refuse(input.from, `${reason}: ${detail}`);
    }
  }

  #onFrame(from: NodeId, frame: Uint8Array): void {
    const decoded = decodeRaftFrame(frame, { from, to: this.#parts.nodeId });
    if (decoded.kind === "malformed") return this.#refuse(from, decoded.reason);
    for (const message of decoded.value) {
      if (this.#state !== "running") return;
      switch (message.kind) {
        case "snapshot_chunk":
          this.#onChunk(message);
          break;
        case "snapshot_chunk_ack":
          this.#transfers.onAck(message);
          break;
        case "snapshot_request":
          this.#onSnapshot(message);
          break;
        case "proposal_forward":
          this.#onForwarded(message);
          break;
        case "read_index_request":
          this.#outbox.onAsked(from);
          this.#step(message);
          break;
        default:
          this.#step(message);
      }
      const { leader, role } = this.#soft;
      if (message.kind === "heartbeat_request" && leader === from) {
        this.#tellHeartbeat(from, "heard");
      } else if (message.kind === "heartbeat_response" && role === "leader") {
        this.#tellHeartbeat(from, "answered");
      }
    }
  }

  #tellHeartbeat(peer: NodeId, way: HeartbeatNews["way"]): void {
    const { tickMs, heartbeatTicks } = this.#parts.timing;
    const news = { peer, way, everyMs: tickMs * heartbeatTicks };
    for (const listener of this.#heartbeatListeners) listener(news);
  }

  /** Not passed on a second time: only who hears them from their proposer can tell whose they are. They come again. */
  #onForwarded(message: ProposalForward): void {
    const { kind, from } = message;
    const changesGroup = message.proposals.some((proposal) => proposal.kind === "group_change");
    const judged = this.#raft.judge({ kind, from, changesGroup });
    if (judged.kind === "refused") return this.#refuse(from, `${judged.reason}: ${judged.detail}`);
    if (this.#soft.role !== "leader") return;
    const verdict = judgeForwarded(message, this.#catalogue);
    if (verdict === "early") return;
    if (verdict !== "taken") return this.#refuse(from, verdict.forged);
    const { taken, dropped } = this.#reports.take(message, this.#parts.clock.monotonicMs());
    if (dropped > 0) this.#refuse(from, `${dropped} reports of copies beyond its share`);
    this.#outbox.onAsked(from);
    if (taken.length > 0) this.#step({ ...message, proposals: taken });
  }

  /** A part counts as the whole, whose sender is judged again once it is there: terms move on meanwhile. */
  #onChunk(chunk: SnapshotChunk): void {
    const { from, term } = chunk;
    const judged = this.#raft.judge({ kind: "snapshot_request", from, term });
    if (judged.kind === "accepted") return this.#transfers.onChunk(chunk);
    this.#refuse(from, `${judged.reason}: ${judged.detail}`);
  }

  /** Only a snapshot that can be used is shown to Raft, which would drop its log for it. */
  #onSnapshot(request: SnapshotRequest): void {
    const { snapshot, from } = request;
    if (snapshot.id.index > this.#catalogue.appliedIndex) {
      const restored = Catalogue.restore(snapshot.data);
      if (restored.kind === "malformed") return this.#refuse(from, `snapshot: ${restored.reason}`);
      if (restored.value.appliedIndex !== snapshot.id.index) {
        return this.#refuse(from, "snapshot: of another index than it says");
      }
      this.#arrived.set(snapshot, restored.value);
    }
    this.#step(request);
  }

  #apply(order: ApplyOrder): void {
    for (const entry of order.entries) {
      // A snapshot may have overtaken what was on its way here.
      if (entry.index <= this.#catalogue.appliedIndex) continue;
      this.#applyEntry(entry);
      if (this.#state !== "running") return;
    }
    for (const answer of order.answers) this.#step(answer);
    this.#saveNowAndThen();
  }

  #applyEntry(entry: Entry): void {
    const data = entry.kind === "command" ? entry.data : NO_BYTES;
    const applied = this.#catalogue.apply(entry.index, data);
    if (applied.kind === "halted") {
      const reason = `the cluster's catalogue is of schema ${applied.schema}, newer than this ` +
        "program; update odist on this node";
      return this.#fenceOff({ kind: "newer_schema", reason });
    }
    this.#bytesSinceSaved += data.length;
    if (entry.kind === "group_change") {
      const configuration = this.#raft.applyChange(entry.change);
      this.#changes.onApplied(entry.change, configuration);
      this.#hasChanged = true;
      // Whoever led leads no more. At a start, when nobody is known to, this node may lack what came since.
      const { role, leader } = this.#soft;
      if (role === "follower" && leader !== undefined) this.#campaignAlone(configuration);
    }
    if (applied.command === undefined) return;
    if (applied.outcome.kind === "applied" && !applied.repeated) {
      this.#appliedKinds.add(applied.command.command.kind);
    }
    this.#proposals.onApplied(applied);
  }

  /** Nobody could object, so there is no reason to wait out an election timeout. */
  #campaignAlone(configuration: GroupConfiguration): void {
    const isAlone = isOnlyVoter(configuration, this.#parts.nodeId);
    if (isAlone) this.#enqueue(() => this.#raft.campaign());
  }

  #saveNowAndThen(): void {
    const { snapshotEntries, snapshotBytes } = this.#parts.timing;
    const { appliedIndex } = this.#catalogue;
    const isDue = appliedIndex - this.#savedIndex >= snapshotEntries ||
      this.#bytesSinceSaved >= snapshotBytes;
    if (isDue) this.#save();
  }

  #save(): void {
    const { store, timing } = this.#parts;
    const index = this.#catalogue.appliedIndex;
    const term = store.term(index);
    assert(term !== undefined, "What is applied is durable", { index });
    this.#savedIndex = index;
    this.#bytesSinceSaved = 0;
    const { configuration } = this.#raft.view();
    const snapshot = { id: { term, index }, configuration, data: this.#catalogue.snapshot() };
    store.compact(snapshot, { trailing: timing.trailingEntries }).then(
      () => {},
      (error: unknown) => this.#onStorageFailure(error),
    );
  }

  /** Messages first: the others' disks work while the own one does (Raft thesis, 10.2.1). */
  #sendOff(): void {
    this.#outbox.flush();
    const orders = this.#orders;
    this.#orders = [];
    const last = orders.at(-1);
    for (const order of orders) {
      // With the last one, because the commit index may be about entries of any of them.
      const lazy = order === last ? this.#lazyHardState : undefined;
      this.#write(lazy === undefined ? order : { ...order, hardState: lazy });
    }
    if (last !== undefined) this.#lazyHardState = undefined;
  }

  #send(nodeId: NodeId, messages: readonly RaftWireMessage[]): void {
    const { transport, addressOf } = this.#parts;
    const to = { nodeId, address: addressOf(nodeId) };
    for (const bytes of encodeRaftFrames(messages)) {
      transport.sendFrame(to, { channel: "raft", bytes });
    }
  }

  #write(order: AppendOrder): void {
    const { entries, snapshot, hardState } = order;
    const writing = { order, isDurable: false };
    this.#writing.push(writing);
    this.#parts.store.write({ entries, snapshot, hardState }).then(
      () => this.#onDurable(writing),
      (error: unknown) => this.#onStorageFailure(error),
    );
  }

  #onDurable(writing: Writing): void {
    writing.isDurable = true;
    this.#enqueue(() => {
      for (let first = this.#writing[0]; first?.isDurable; first = this.#writing[0]) {
        this.#writing.shift();
        this.#install(first.order.snapshot);
        this.#answer(first.order.answers);
      }
    });
  }

  /** A leader's snapshot is durable: the catalogue takes it over before Raft hears of it. */
  #install(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined || snapshot.id.index <= this.#catalogue.appliedIndex) return;
    const catalogue = this.#arrived.get(snapshot);
    assert(catalogue !== undefined, "A snapshot is looked at before it is written");
    this.#catalogue = catalogue;
    this.#savedIndex = snapshot.id.index;
    this.#bytesSinceSaved = 0;
    this.#wasRestored = true;
    this.#hasChanged = true;
    this.#proposals.onRestored();
  }

  /** Role, leader or term may have changed. */
  #onReign({ softState, append }: Ready): void {
    const before = { ...this.#soft, term: this.#term };
    this.#soft = softState ?? this.#soft;
    this.#term = append?.hardState?.term ?? this.#term;
    const { role, leader } = this.#soft;
    const isNewTerm = before.term !== this.#term;
    if (before.role === role && before.leader === leader && !isNewTerm) return;
    const { log, metrics } = this.#parts;
    this.#hasChanged = true;
    if (leader !== undefined) this.#campaignInTicks = undefined;
    metrics.set("odist_raft_term", this.#term);
    metrics.set("odist_raft_leading", role === "leader" ? 1 : 0);
    const level = role.endsWith("candidate") ? "info" : "debug";
    log.log(level, "raft_role", { role, leader, term: this.#term });
    if (before.role === "leader" && role !== "leader") {
      this.#transfers.stopSending();
      this.#changes.failAll("this node no longer leads");
    }
    if (leader === undefined) this.#quorum.doubt();
    if (leader === undefined || (leader === before.leader && !isNewTerm)) return;
    log.log("info", "raft_leader", { leader, term: this.#term });
    metrics.increment("odist_raft_leader_changes_total");
    this.#quorum.hope();
    // Went to somebody who no longer leads, or was held back while nobody did.
    this.#proposals.resendAll();
    this.#reads.askAgain();
    this.#planDrain();
  }

  #onNote(note: RaftNote): void {
    switch (note.kind) {
      case "change_refused":
        this.#changes.onRefused(note.reason);
        return;
      case "quorum_lost":
        this.#parts.log.log("warn", "raft_quorum_lost", { term: note.term });
        return;
      case "snapshot_needed":
        this.#parts.log.log("info", "raft_snapshot_sent", { to: note.by, index: note.index });
        return;
      case "snapshot_restored":
        this.#parts.log.log("info", "raft_snapshot_taken", { index: note.index });
        // Answers of a leader that the group did not name yet were refused as those of a stranger.
        this.#reads.askAgain();
        return;
    }
  }

  /** 1 while anything waits that counts ticks. */
  #ticksUntilDue(): number {
    if ((this.#campaignInTicks ?? this.#lazyHardState) !== undefined) return 1;
    const counting = [this.#outbox, this.#transfers, this.#proposals, this.#reads, this.#changes];
    return counting.some(({ countsTicks }) => countsTicks) ? 1 : this.#raft.ticksUntilDue();
  }

  #tick(nowMs: number): void {
    this.#raft.tick();
    if (this.#campaignInTicks !== undefined && --this.#campaignInTicks <= 0) {
      this.#campaignInTicks = undefined;
      if (this.#soft.leader === undefined) this.#raft.campaign();
    }
    this.#writeLazy();
    this.#outbox.onTick();
    this.#transfers.onTick();
    this.#proposals.onTick(nowMs, { resends: this.#soft.role !== "leader" });
    this.#reads.onTick(nowMs);
    this.#changes.onTick(nowMs);
  }

  /** A node that is killed and has no quorum at its start knows what was committed by its own disk alone. */
  #writeLazy(): void {
    if (this.#lazyHardState === undefined) this.#lazyTicks = 0;
    else if (++this.#lazyTicks >= LAZY_TICKS_MAX && this.#writing.length === 0) {
      this.#lazyTicks = 0;
      const nothing = { entries: [], snapshot: undefined, answers: [] };
      this.#orders.push({ ...nothing, hardState: undefined, mustSync: false });
    }
  }

  /** Tells listeners, after all is done, so that they see the node at rest and may ask more of it. */
  #announce(): void {
    const { appliedIndex } = this.#catalogue;
    if (appliedIndex > this.#announcedIndex) {
      this.#announcedIndex = appliedIndex;
      const kinds = this.#wasRestored ? undefined : new Set(this.#appliedKinds);
      this.#wasRestored = false;
      this.#appliedKinds.clear();
      for (const listener of [...this.#appliedListeners]) listener({ appliedIndex, kinds });
    }
    if (!this.#hasChanged) return;
    this.#hasChanged = false;
    for (const listener of [...this.#changeListeners]) listener();
  }

  /** A leader that can't write hands over to one that can. */
  #onRoomChanged(): void {
    const isFull = this.#parts.room?.reason !== undefined;
    this.#enqueue(() => {
      this.#hasChanged = true;
      const { role, configuration, peers } = this.#raft.view();
      if (!isFull || role !== "leader") return;
      const heir = chooseHeir(this.#parts.nodeId, { voters: configuration.voters, peers });
      if (heir !== undefined) this.#raft.transferLeadership(heir);
    });
  }

  #onStorageFailure(error: unknown): void {
    // The log was closed under a write that nobody waits for any more.
    if (this.#state === "closed") return;
    if (!(error instanceof StorageError)) return this.#breakOff(error);
    this.#fenceOff({ kind: "storage", reason: error.message });
  }

  /** A bug: what this node holds in memory may be wrong, so nobody may hear of it; what its log holds is not touched. */
  #breakOff(error: unknown): void {
    const bug = bugReport(error);
    this.#parts.log.log("error", "part_broken", { part: "group", ...bug });
    const reason = `this node's part of the group contradicts itself: ${bug.reason}`;
    this.#fenceOff({ kind: "invariant_broken", reason });
  }

  /** From here on this node says nothing that its log would have to stand for. */
  #fenceOff(fence: Fence): void {
    if (this.#state !== "running") return;
    this.#state = "fenced";
    this.#fence = fence;
    this.#ticker.stop();
    this.#events = [];
    this.#outbox.clear();
    this.#orders = [];
    this.#transfers.stopSending();
    this.#parts.log.log("error", "node_fenced", { kind: fence.kind, reason: fence.reason });
    this.#failAll();
    for (const listener of [...this.#changeListeners]) listener();
  }

  #failAll(): void {
    this.#proposals.failAll(() => this.#unavailable());
    this.#reads.failAll(() => this.#unavailable());
    this.#changes.failAll("this node takes no part any more");
  }

  #unavailable(): Error {
    return unavailable(this.#state === "closed" ? undefined : this.fenced);
  }

  #refuse(from: NodeId, reason: string): void {
    this.#refused.note(from, reason);
  }
}
