import {
  assert,
  assertNever,
  bugReport,
  equalBytes,
  errorMessage,
  type Incarnation,
  LineLimiter,
  type NodeId,
  type Random,
} from "../base/mod.ts";
import {
  type HeartbeatWatch,
  Membership,
  type MembershipEffect,
  type MembershipEvent,
  type MembershipTiming,
  type MembershipView,
  type MemberView,
} from "../core/membership/mod.ts";
import type {
  Clock,
  Log,
  LogLevel,
  Metrics,
  PeerAddress,
  Recorder,
  StepRecorder,
  Transport,
} from "../ports/mod.ts";
import type { FrameChannel, MemberStanding } from "../protocol/mod.ts";

/** Received messages that wait while the identity is being saved; more are dropped, as a full socket would. */
const QUEUE_MESSAGES_MAX = 2_048;
/**
 * A wake-up later than this means that messages may be waiting in the kernel: they are let in before it counts. Timers
 * of an idle process are up to 2 ms late.
 */
const LATE_MS = 2;
/** For how long. The way from the kernel through QUIC to here takes a few turns of the event loop. */
const RECEIVE_GRACE_MS = 3;
/** How far before an overdue deadline messages are dated: leaves the core the whole of its own grace after a stall. */
const BEFORE_DEADLINE_MS = 10;
/** A wall clock that goes another way than the monotonic one by more than this was set. */
const CLOCK_SET_MS = 60_000;
/** The same peer's lies make one line in this time; the metric counts each. */
const LIE_LINE_MS = 1_000;
/** A farewell takes three rounds of gossip; a node that stops waits no longer than this. */
const LEAVE_MS_MAX = 3_000;

/** The stamp that outlives restarts. */
export interface SavedIdentity {
  readonly bootEpoch: number;
  readonly incarnation: Incarnation;
}

/** Why a node may no longer take part: it must stop serving. */
export type MembershipFailure =
  /** Another process lives under this node's id, or this one's disk was set back again and again. */
  | { readonly kind: "identity_conflicted"; readonly bootEpoch: number }
  /** What must be durable before others hear of it could not be written. */
  | { readonly kind: "identity_unsaved"; readonly cause: unknown }
  /** A bug: what this node believes of the others may be wrong. */
  | { readonly kind: "invariant_broken"; readonly cause: unknown };

/** What driving membership takes. */
export interface MembershipParts {
  readonly nodeId: NodeId;
  /** Where others reach this node: `host:port`, or several with commas between them. */
  readonly address: string;
  /** Higher than at any earlier start, and durable already. */
  readonly bootEpoch: number;
  /** The last one saved; 0 at a first start. */
  readonly incarnation: Incarnation;
  readonly timing: MembershipTiming;
  readonly transport: Pick<Transport, "sendDatagram" | "sendFrame">;
  readonly clock: Pick<Clock, "monotonicMs" | "nowMs" | "after">;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Durable when it resolves. Only called when the stamp changed. */
  readonly saveIdentity: (identity: SavedIdentity) => Promise<void>;
  readonly recorder?: Recorder | undefined;
  /** Called at most once; nothing is sent or received afterwards. */
  readonly onFailed: (failure: MembershipFailure) => void;
}

/** A member's standing is another than before; `previous` undefined = first heard of, `member` undefined = forgotten. */
export interface MemberChange {
  readonly nodeId: NodeId;
  readonly previous: MemberStanding | undefined;
  readonly member: MemberView | undefined;
}

/** Gossip values of another member that changed. */
export interface ValuesChange {
  readonly nodeId: NodeId;
  readonly keys: readonly string[];
}

/** A fact before it is known when it is handed in. */
type Fact = MembershipEvent extends infer Event
  ? Event extends { readonly nowMs: number } ? Omit<Event, "nowMs"> : never
  : never;

/** Starts to take part. Call the receiving methods from the transport's handlers. */
export function openMembership(parts: MembershipParts): MembershipDriver {
  return new MembershipDriver(parts);
}

/**
 * Drives {@link Membership}: one queue of facts in, its orders out, in their order. Nothing is awaited but the saving of
 * this node's identity, behind which both wait.
 */
export class MembershipDriver {
  readonly #parts: MembershipParts;
  readonly #membership: Membership;
  readonly #steps: StepRecorder | undefined;
  readonly #facts: Fact[] = [];
  readonly #effects: MembershipEffect[] = [];
  readonly #memberListeners = new Set<(change: MemberChange) => void>();
  readonly #valuesListeners = new Set<(change: ValuesChange) => void>();
  readonly #lieLines = new LineLimiter(LIE_LINE_MS);
  /** Wall time minus monotonic time, as last told. */
  #wallOffsetMs = -Infinity;
  #left = Promise.withResolvers<void>();
  /** Members by standing, this node among the living. */
  readonly #standings: Record<MemberStanding, number> = { alive: 1, suspect: 0, down: 0, left: 0 };
  // Invariant: facts are handed in and orders carried out only in `running`, by one loop at a time.
  #state: "idle" | "running" | "saving" | "closed" = "idle";
  #saved: SavedIdentity;
  #wake: { readonly atMs: number; readonly token: number; timer: { cancel(): void } } | undefined;

  constructor(parts: MembershipParts) {
    const { nodeId, address, bootEpoch, incarnation, timing } = parts;
    this.#parts = parts;
    this.#saved = { bootEpoch, incarnation };
    const options = { nodeId, address, bootEpoch, incarnation, timing };
    this.#membership = new Membership(options, parts.random);
    this.#steps = parts.recorder?.begin({
      ...{ part: "membership", options },
      keep: (keeper) => this.#membership.keep(keeper),
    });
    parts.metrics.set("odist_members", 1, { standing: "alive" });
    this.#tellClock();
    this.#take({ kind: "started" });
  }

  receiveDatagram(from: NodeId, bytes: Uint8Array): void {
    this.#count("received", "datagram", bytes);
    this.#receive({ kind: "datagram_received", from, bytes });
  }

  /** A frame of the channel "membership". */
  receiveFrame(from: NodeId, bytes: Uint8Array): void {
    this.#count("received", "stream", bytes);
    this.#receive({ kind: "stream_received", from, bytes });
  }

  /** As {@link TransportHandlers.onSendFailed}; failures of other channels are not its business. */
  sendFailed(to: NodeId, what: "datagram" | FrameChannel): void {
    if (what !== "raft") this.#receive({ kind: "send_failed", to });
  }

  connectionLost(to: NodeId): void {
    this.#receive({ kind: "connection_lost", to });
  }

  /** Asks these members to let this node in; asked again while it is alone. */
  join(seeds: readonly PeerAddress[]): void {
    this.#take({ kind: "join_requested", seeds });
  }

  /** This node is reached elsewhere now; `address` as {@link MembershipParts.address}. */
  moved(address: string): void {
    this.#take({ kind: "address_changed", address });
  }

  /** Says goodbye. Resolves when enough members were told, at the latest after three seconds. */
  leave(): Promise<void> {
    // It may be back in between, and leave again.
    this.#left = Promise.withResolvers<void>();
    this.#take({ kind: "leave_requested" });
    const timer = this.#parts.clock.after(LEAVE_MS_MAX, () => this.#left.resolve());
    return this.#left.promise.then(() => timer.cancel());
  }

  /** A member is no longer admitted: it is forgotten and not listened to. */
  expel(nodeId: NodeId): void {
    this.#take({ kind: "member_expelled", nodeId });
  }

  /** An expelled member is admitted again. */
  admit(nodeId: NodeId): void {
    this.#take({ kind: "member_admitted", nodeId });
  }

  /** A heartbeat of the log's group: it stands in for a probe. */
  heartbeat(news: {
    readonly peer: NodeId;
    readonly way: "sent" | "heard" | "answered";
    readonly everyMs: number;
  }): void {
    this.#receive({ kind: "heartbeat", ...news });
  }

  /** Who leads the log's group and votes in it; undefined = nobody leads. */
  watchHeartbeats(watch: HeartbeatWatch | undefined): void {
    this.#take({ kind: "heartbeats_watched", watch });
  }

  /** Sets a gossip value of this node; undefined deletes it. An equal one is not told again. */
  publish(key: string, value: Uint8Array | undefined): void {
    const queued = this.#facts.findIndex((fact) =>
      fact.kind === "value_published" && fact.key === key
    );
    if (queued !== -1) this.#facts.splice(queued, 1);
    const present = this.#membership.values(this.#parts.nodeId).get(key);
    if (isSame(present, value)) return;
    this.#take({ kind: "value_published", key, value });
  }

  /** How this node sees its cluster. */
  view(): MembershipView {
    return this.#membership.view();
  }

  /** One other member, or undefined. */
  find(nodeId: NodeId): MemberView | undefined {
    return this.#membership.find(nodeId);
  }

  /** Live members, this one included. */
  get clusterSize(): number {
    return this.#membership.clusterSize;
  }

  /** Gossip values of a member, this one included; empty when it is unknown. */
  values(nodeId: NodeId): ReadonlyMap<string, Uint8Array> {
    return this.#membership.values(nodeId);
  }

  /** Returns how to stop listening. */
  onMemberChanged(listener: (change: MemberChange) => void): () => void {
    this.#memberListeners.add(listener);
    return () => void this.#memberListeners.delete(listener);
  }

  /** Returns how to stop listening. */
  onValuesChanged(listener: (change: ValuesChange) => void): () => void {
    this.#valuesListeners.add(listener);
    return () => void this.#valuesListeners.delete(listener);
  }

  /** Stops without a farewell. Safe to repeat. */
  close(): void {
    this.#state = "closed";
    this.#wake?.timer.cancel();
    this.#wake = undefined;
    this.#facts.length = 0;
    this.#effects.length = 0;
    this.#left.resolve();
  }

  #receive(fact: Fact): void {
    if (this.#facts.length >= QUEUE_MESSAGES_MAX) {
      this.#parts.metrics.increment("odist_membership_refused_total", { reason: "queue_full" });
      return;
    }
    this.#tellClock();
    this.#take(fact);
  }

  #tellClock(): void {
    const { clock } = this.#parts;
    const wallMs = clock.nowMs();
    const offsetMs = wallMs - clock.monotonicMs();
    if (Math.abs(offsetMs - this.#wallOffsetMs) <= CLOCK_SET_MS) return;
    this.#wallOffsetMs = offsetMs;
    this.#take({ kind: "clock_read", wallMs });
  }

  #take(fact: Fact): void {
    if (this.#state === "closed") return;
    this.#facts.push(fact);
    // Listeners and the transport may call from within an order: theirs waits its turn.
    if (this.#state === "idle") this.#run();
  }

  #run(): void {
    this.#state = "running";
    try {
      while (this.#isRunning()) this.#goOn();
    } catch (cause) {
      this.#log("error", "part_broken", { part: "membership", ...bugReport(cause) });
      this.#fail({ kind: "invariant_broken", cause });
    }
  }

  /** Carries out the next order, or hands in the next fact when there is none. */
  #goOn(): void {
    const effect = this.#effects.shift();
    if (effect !== undefined) return this.#carryOut(effect);
    const fact = this.#facts.shift();
    if (fact === undefined) this.#state = "idle";
    else this.#effects.push(...this.#step(this.#date(fact)));
  }

  #step(event: MembershipEvent): readonly MembershipEffect[] {
    try {
      const effects = this.#membership.step(event);
      this.#steps?.note(event, effects, bytesOf(event, effects));
      return effects;
    } catch (error) {
      this.#steps?.note(event, { threw: errorMessage(error) });
      throw error;
    }
  }

  // A function, because what is called in the loop changes the state.
  #isRunning(): boolean {
    return this.#state === "running";
  }

  /**
   * Deadlines are judged in wake-ups alone. While one is overdue, messages are dated before it: after a stall they were
   * here in time, but the event loop hands out its timers first.
   */
  #date(fact: Fact): MembershipEvent {
    const nowMs = Math.floor(this.#parts.clock.monotonicMs());
    const wake = this.#wake;
    if (fact.kind === "woke") {
      if (fact.token === wake?.token) this.#wake = undefined;
      return { ...fact, nowMs };
    }
    const isOverdue = wake !== undefined && nowMs >= wake.atMs;
    return { ...fact, nowMs: isOverdue ? wake.atMs - BEFORE_DEADLINE_MS : nowMs };
  }

  #carryOut(effect: MembershipEffect): void {
    const { transport } = this.#parts;
    switch (effect.kind) {
      case "send_datagram":
        this.#count("sent", "datagram", effect.bytes);
        return transport.sendDatagram(effect, effect.bytes);
      case "send_stream":
        this.#count("sent", "stream", effect.bytes);
        return transport.sendFrame(effect, { channel: "membership", bytes: effect.bytes });
      case "persist_identity":
        return this.#save({ bootEpoch: effect.bootEpoch, incarnation: effect.incarnation });
      case "wake_at":
        return this.#arm(effect.atMs, effect.token);
      case "member_changed":
        return this.#tellMember(effect);
      case "values_changed":
        for (const listener of [...this.#valuesListeners]) listener(effect);
        return;
      case "value_refused":
        return this.#log("warn", "gossip_value_refused", {
          key: effect.key,
          reason: effect.reason,
        });
      case "leave_completed":
        return this.#left.resolve();
      case "identity_conflicted":
        return this.#fail({ kind: "identity_conflicted", bootEpoch: effect.bootEpoch });
      case "note":
        return this.#note(effect);
      default:
        return assertNever(effect);
    }
  }

  #save(identity: SavedIdentity): void {
    const { bootEpoch, incarnation } = this.#saved;
    if (identity.bootEpoch === bootEpoch && identity.incarnation === incarnation) return;
    this.#state = "saving";
    this.#parts.saveIdentity(identity).then(
      () => {
        this.#saved = identity;
        if (this.#state === "saving") this.#run();
      },
      (cause) => this.#fail({ kind: "identity_unsaved", cause }),
    );
  }

  #arm(atMs: number, token: number): void {
    this.#wake?.timer.cancel();
    const { clock } = this.#parts;
    const delayMs = Math.max(0, atMs - clock.monotonicMs());
    const timer = clock.after(delayMs, () => this.#onTimer(token));
    this.#wake = { atMs, token, timer };
  }

  #onTimer(token: number): void {
    const { clock } = this.#parts;
    this.#tellClock();
    const wake = this.#wake;
    if (wake === undefined || wake.token !== token) return;
    const isLate = clock.monotonicMs() - wake.atMs > LATE_MS;
    if (!isLate) return this.#take({ kind: "woke", token });
    wake.timer = clock.after(RECEIVE_GRACE_MS, () => this.#take({ kind: "woke", token }));
  }

  #tellMember(change: MemberChange): void {
    const { nodeId, previous, member } = change;
    const standing = member?.standing ?? "forgotten";
    const values = { node: nodeId, from: previous ?? "unknown", to: standing };
    if (standing !== previous) this.#log("info", "member_changed", values);
    if (previous !== undefined) this.#recount(previous, -1);
    if (member !== undefined) this.#recount(member.standing, 1);
    for (const listener of [...this.#memberListeners]) listener(change);
  }

  #recount(standing: MemberStanding, difference: 1 | -1): void {
    this.#standings[standing] += difference;
    const count = this.#standings[standing];
    assert(count >= 0, "Whoever leaves a standing had it", { standing, count });
    this.#parts.metrics.set("odist_members", this.#standings[standing], { standing });
  }

  #note(note: Extract<MembershipEffect, { readonly kind: "note" }>): void {
    const { event, values } = note;
    if (event === "malformed_message") {
      this.#parts.metrics.increment("odist_membership_refused_total", { reason: "malformed" });
    }
    if (event === "lie_refused") return this.#noteLie(values);
    if (event === "refuted") this.#parts.metrics.increment("odist_membership_refutations_total");
    this.#log(event === "stranger_refused" ? "warn" : "debug", `membership_${event}`, values);
  }

  #noteLie(values: Readonly<Record<string, string | number>>): void {
    const { metrics, clock } = this.#parts;
    const from = String(values.from);
    // Whoever gossip does not know has as many names as it likes; a metric must not grow with them.
    const peer = this.#membership.find(from as NodeId) === undefined ? "stranger" : from;
    metrics.increment("odist_membership_lies_total", { peer });
    const unsaid = this.#lieLines.claim(from, clock.monotonicMs());
    if (unsaid === undefined) return;
    this.#log("warn", "membership_lie_refused", { ...values, count: 1 + unsaid });
  }

  #fail(failure: MembershipFailure): void {
    if (this.#state === "closed") return;
    this.#log("error", `membership_${failure.kind}`, { node: this.#parts.nodeId });
    this.close();
    this.#parts.onFailed(failure);
  }

  #count(direction: "sent" | "received", kind: "datagram" | "stream", bytes: Uint8Array): void {
    const { metrics } = this.#parts;
    metrics.increment("odist_membership_messages_total", { direction, kind });
    metrics.increment("odist_membership_bytes_total", { direction, kind }, bytes.length);
  }

  #log(level: LogLevel, event: string, values: Readonly<Record<string, unknown>>): void {
    this.#parts.log.log(level, event, values);
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a, b);
}

/** Of messages, in and out. */
function bytesOf(event: MembershipEvent, effects: readonly MembershipEffect[]): number {
  const received = "bytes" in event ? event.bytes.length : 0;
  return effects.reduce(
    (sum, effect) => sum + ("bytes" in effect ? effect.bytes.length : 0),
    received,
  );
}
