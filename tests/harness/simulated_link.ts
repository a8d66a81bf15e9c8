/**
 * One connection of a simulated network: two directions that keep order, hold what can't pass, and end together.
 *
 * @module
 */
import { type NodeId, UnavailableError } from "../../src/base/mod.ts";
import type { ConnectionView, PeerAddress, PeerStream } from "../../src/ports/mod.ts";
import type { FrameChannel } from "../../src/protocol/mod.ts";
import { SimulatedStream } from "./simulated_stream.ts";
import { lostPeer, type SimulatedNetwork, type SimulatedTransport } from "./simulated_transport.ts";

/** What a lost packet costs on top of the way there and back. */
const RETRANSMIT_MS = 25;

/** Bytes of a stream that may wait to be read, about what QUIC grants. */
const UNREAD_BYTES_MAX = 1024 * 1024;

/** The dialer's side or the acceptor's; a direction is named by the side it starts from. */
type Side = 0 | 1;

/** Something under way; `what` for that which is counted and whose failure is reported. */
interface Item {
  readonly what?: FrameChannel | "datagram";
  readonly bytes: number;
  readonly deliver: (to: SimulatedTransport) => void;
}

/** Why a connection ends: told by one side, silence, never made, or its node lives again with another one. */
type Ending = "said" | "silent" | "unreachable" | "replaced";

interface OpenStream {
  readonly opener: Side;
  readonly ends: readonly [SimulatedStream, SimulatedStream];
}

/** The connection of two nodes. */
export class SimulatedLink {
  readonly #network: SimulatedNetwork;
  readonly #to: PeerAddress;
  readonly #dialer: SimulatedTransport;
  /** Undefined until somebody was found at the address. */
  #acceptor: SimulatedTransport | undefined;
  #state: "connecting" | "open" | "closed" = "connecting";
  /** Not on the way yet: the connection is being made, or is cut. */
  readonly #held: readonly [Item[], Item[]] = [[], []];
  /** Nothing that keeps order may arrive before this. */
  readonly #lastDueMs: [number, number] = [0, 0];
  readonly #streams = new Set<OpenStream>();
  readonly #waiting = new Set<() => void>();
  #timer: { cancel(): void } | undefined;

  constructor(network: SimulatedNetwork, dialer: SimulatedTransport, to: PeerAddress) {
    this.#network = network;
    this.#dialer = dialer;
    this.#to = to;
  }

  get state(): "connecting" | "open" | "closed" {
    return this.#state;
  }

  /** Whether this very life of a node is one of the two; a node that is being dialed and dials itself becomes one. */
  has(node: SimulatedTransport): boolean {
    if (this.#acceptor === undefined && node.nodeId === this.#to.nodeId) this.#acceptor = node;
    return node === this.#dialer || node === this.#acceptor;
  }

  joins(nodeId: NodeId): boolean {
    return nodeId === this.#dialer.nodeId || nodeId === this.#to.nodeId;
  }

  viewOf(node: SimulatedTransport): ConnectionView {
    const side = this.#sideOf(node);
    const other = this.#nodeAt(opposite(side));
    return {
      peer: this.#idAt(opposite(side)),
      remoteAddress: other?.address ?? this.#to.address,
      wire: 1,
      direction: side === 0 ? "dialed" : "accepted",
      openStreams: this.#streams.size,
      queuedFrames: this.#held[side].filter((item) => item.what !== undefined).length,
    };
  }

  dial(): void {
    const { limits } = this.#network;
    this.#timer = this.#network.after(limits.dialTimeoutMs, () => this.close("unreachable"));
    const [forth, back] = [this.#delayFrom(0), this.#delayFrom(1)];
    this.#network.after(forth + back, () => this.#tryOpen());
  }

  sendDatagram(from: SimulatedTransport, bytes: Uint8Array): void {
    const side = this.#sideOf(from);
    const deliver = (to: SimulatedTransport) => to.handlers.onDatagram(from.nodeId, bytes);
    const item: Item = { what: "datagram", bytes: bytes.length, deliver };
    if (this.#state !== "open") {
      return this.#hold(side, item, { count: this.#network.limits.datagramQueueMax });
    }
    const { lossPercent, duplicatePercent } = this.#faultsFrom(side);
    const copies = this.#network.random.chance(duplicatePercent, 100) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const lost = this.#network.random.chance(lossPercent, 100) || this.#isBlocked(side);
      if (!lost) this.#network.after(this.#delayFrom(side), () => this.#arrive(side, item));
    }
  }

  sendFrame(from: SimulatedTransport, frame: { channel: FrameChannel; bytes: Uint8Array }): void {
    const { channel, bytes } = frame;
    const { channelQueueFramesMax: count, channelQueueBytesMax } = this.#network.limits;
    const side = this.#sideOf(from);
    const deliver = (to: SimulatedTransport) => to.handlers.onFrame(from.nodeId, channel, bytes);
    const item: Item = { what: channel, bytes: bytes.length, deliver };
    if (this.#isBlocked(side)) this.#hold(side, item, { count, bytes: channelQueueBytesMax });
    else this.#carry(side, item);
  }

  async openStream(from: SimulatedTransport, signal: AbortSignal): Promise<PeerStream> {
    const side = this.#sideOf(from);
    while (this.#state === "connecting") await this.#waitForState(signal);
    if (this.#state === "closed") throw lostPeer(this.#idAt(opposite(side)));
    const opened = [...this.#streams].filter((stream) => stream.opener === side).length;
    if (opened >= this.#network.limits.streamsPerPeerMax) {
      throw new UnavailableError(
        "queue_full",
        "Cannot open stream: too many are open to this peer",
      );
    }
    const stream: OpenStream = {
      opener: side,
      ends: SimulatedStream.pair({
        peers: [this.#idAt(opposite(side)), from.nodeId],
        windowBytes: UNREAD_BYTES_MAX,
        send: (end, bytes, deliver) =>
          this.#sendReliably(end === 0 ? side : opposite(side), { bytes, deliver }),
        ended: () => this.#streams.delete(stream),
      }),
    };
    this.#streams.add(stream);
    const [here, there] = stream.ends;
    this.#sendReliably(side, { bytes: 0, deliver: (to) => to.handlers.onStream(there) });
    return here;
  }

  /** One direction stopped working: silence is noticed after a while. */
  noteCut(): void {
    if (this.#state !== "open" || this.#timer !== undefined) return;
    if (!this.#isBlocked(0) && !this.#isBlocked(1)) return;
    this.#timer = this.#network.after(this.#network.limits.idleMs, () => this.close("silent"));
  }

  /** Something works again, or a node has come up. */
  noteHealed(): void {
    if (this.#state === "connecting") return this.#tryOpen();
    for (const side of [0, 1] as const) {
      while (!this.#isBlocked(side)) {
        const item = this.#held[side].shift();
        if (item === undefined) break;
        this.#carry(side, item);
      }
    }
    if (!this.#isBlocked(0) && !this.#isBlocked(1)) this.#stopTimer();
  }

  /** `node` has ended politely: the other side learns of it unless it can't hear. */
  sayGoodbye(node: SimulatedTransport): void {
    const side = this.#sideOf(node);
    if (this.#state !== "open") return this.close("unreachable");
    for (const { opener, ends } of [...this.#streams]) ends[opener === side ? 0 : 1].breakOff();
    if (this.#network.isCut(node.nodeId, this.#idAt(opposite(side)))) return this.noteCut();
    this.#network.after(this.#delayFrom(side), () => this.close("said"));
  }

  close(ending: Ending): void {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    this.#stopTimer();
    this.#network.forget(this);
    for (const side of [0, 1] as const) {
      const node = this.#nodeAt(side);
      const peer = this.#idAt(opposite(side));
      for (const { what } of this.#held[side].splice(0)) {
        if (what !== undefined) node?.reportFailed(peer, what);
      }
      if (wasOpen && ending !== "replaced") node?.later(() => node.handlers.onConnectionLost(peer));
    }
    for (const { ends } of [...this.#streams]) ends.forEach((end) => end.breakOff());
    for (const wake of [...this.#waiting]) wake();
  }

  #tryOpen(): void {
    if (this.#state !== "connecting") return;
    this.#acceptor ??= this.#network.findAt(this.#to, this.#dialer.hints);
    const ends = [this.#dialer, this.#acceptor];
    const [from, to] = [this.#dialer.nodeId, this.#to.nodeId];
    if (ends.some((end) => end === undefined || end.closed)) return;
    if (this.#network.isCut(from, to) || this.#network.isCut(to, from)) return;
    const [dialer, acceptor] = ends;
    if (dialer?.gate?.admits(to) === false || acceptor?.gate?.admits(from) === false) {
      return this.close("unreachable");
    }
    this.#state = "open";
    this.#stopTimer();
    this.noteHealed();
    for (const wake of [...this.#waiting]) wake();
  }

  #hold(side: Side, item: Item, max: { count: number; bytes?: number }): void {
    const same = this.#held[side].filter((held) => held.what === item.what);
    const bytes = same.reduce((sum, held) => sum + held.bytes, 0);
    const isFull = same.length >= max.count ||
      (same.length > 0 && bytes + item.bytes > (max.bytes ?? Infinity));
    if (!isFull) this.#held[side].push(item);
    else if (item.what !== undefined) {
      this.#nodeAt(side)?.reportFailed(this.#idAt(opposite(side)), item.what);
    }
  }

  #sendReliably(side: Side, item: Item): void {
    if (this.#isBlocked(side)) this.#held[side].push(item);
    else this.#carry(side, item);
  }

  /** On its way: arrives unless the connection ends, behind everything sent before. */
  #carry(side: Side, item: Item): void {
    const nowMs = this.#network.clock.monotonicMs();
    let delayMs = this.#delayFrom(side);
    while (this.#network.random.chance(this.#faultsFrom(side).lossPercent, 100)) {
      delayMs += RETRANSMIT_MS + this.#delayFrom(side) + this.#delayFrom(opposite(side));
    }
    const dueMs = Math.max(this.#lastDueMs[side], nowMs + delayMs);
    this.#lastDueMs[side] = dueMs;
    this.#network.after(dueMs - nowMs, () => this.#arrive(side, item));
  }

  #arrive(side: Side, item: Item): void {
    const to = this.#nodeAt(opposite(side));
    if (this.#state === "open" && to !== undefined && !to.closed) item.deliver(to);
  }

  #isBlocked(side: Side): boolean {
    const to = this.#nodeAt(opposite(side));
    // Code of a node that was killed may run on, and is not heard.
    const isDead = this.#nodeAt(side)?.closed === true || to?.closed === true;
    return this.#state !== "open" || to === undefined || isDead ||
      this.#network.isCut(this.#idAt(side), to.nodeId);
  }

  #waitForState(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
    });
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #sideOf(node: SimulatedTransport): Side {
    return node === this.#dialer ? 0 : 1;
  }

  #nodeAt(side: Side): SimulatedTransport | undefined {
    return side === 0 ? this.#dialer : this.#acceptor;
  }

  #idAt(side: Side): NodeId {
    return side === 0 ? this.#dialer.nodeId : this.#to.nodeId;
  }

  #delayFrom(side: Side): number {
    return this.#network.delayOf(this.#idAt(side), this.#idAt(opposite(side)));
  }

  #faultsFrom(side: Side) {
    return this.#network.faultsOf(this.#idAt(side), this.#idAt(opposite(side)));
  }
}

function opposite(side: Side): Side {
  return side === 0 ? 1 : 0;
}
