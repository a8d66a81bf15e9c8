/**
 * A UDP network between processes on this machine, owned by a test: every datagram between two nodes passes through it,
 * and each directed link can be cut, slowed, or made to lose and repeat. Needs no rights and no help of the system.
 *
 * @module
 */
import { assert, Random } from "../../src/base/mod.ts";

const LOOPBACK = "127.0.0.1";
/** The largest UDP payload over IPv4. */
const DATAGRAM_BYTES_MAX = 65_507;
/** Waiting for its turn on a link with limited bandwidth; more is dropped, as a router's queue would. */
const QUEUE_BYTES_MAX = 256 * 1024;
/** Senders that were never plugged in, such as a test that plays a stranger. */
const STRANGERS_MAX = 1_024;

/** What is wrong with one directed link. */
export interface LinkFaults {
  readonly cut: boolean;
  readonly delayMs: number;
  /** Added to the delay, uniform in [0, jitterMs); lets datagrams overtake each other. */
  readonly jitterMs: number;
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  /** Infinity = unlimited. */
  readonly bytesPerSecond: number;
  /** Of one datagram; longer ones are lost without a word. Infinity = unlimited. */
  readonly datagramBytesMax: number;
}

/** A link on which everything arrives at once. */
export const PERFECT_LINK: LinkFaults = {
  cut: false,
  delayMs: 0,
  jitterMs: 0,
  lossPercent: 0,
  duplicatePercent: 0,
  bytesPerSecond: Infinity,
  datagramBytesMax: Infinity,
};

/** What one directed link has carried. Nodes that were not plugged in are called by their port. */
export interface LinkCount {
  readonly from: string;
  readonly to: string;
  /** Handed in by the sender. */
  readonly packets: number;
  readonly bytes: number;
  /** Of those, not delivered: cut, lost, or no room. */
  readonly droppedPackets: number;
  /** Delivered later than a perfect link would. */
  readonly latePackets: number;
  /** Delivered twice. */
  readonly repeatedPackets: number;
}

/** One datagram as it was sent. */
export interface CapturedDatagram {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

/** A directed link. */
interface Link {
  readonly from: Plug;
  readonly to: Plug;
  faults: LinkFaults;
  packets: number;
  bytes: number;
  droppedPackets: number;
  latePackets: number;
  repeatedPackets: number;
  /** When the link has sent what it took on, in milliseconds of `performance.now()`. */
  freeAtMs: number;
}

/** One node: where it listens, and the sockets through which it hears those that sent to its public address. */
interface Plug {
  readonly name: string;
  readonly port: number;
  readonly callers: Map<Plug, Deno.DatagramConn>;
}

/** A switch with a public port per node. Nothing in it waits for anything but the network. */
export class UdpSwitch implements AsyncDisposable {
  readonly #random: Random;
  readonly #plugs = new Map<string, Plug>();
  readonly #byPort = new Map<number, Plug>();
  readonly #links = new Map<string, Link>();
  readonly #sockets: Deno.DatagramConn[] = [];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #loops: Promise<void>[] = [];
  readonly #captured: CapturedDatagram[] = [];
  #captureBytesLeft = 0;
  #closed = false;

  /** `seed` decides which datagrams are lost, repeated or late. */
  constructor(options: { readonly seed: number } = { seed: 1 }) {
    this.#random = new Random(options.seed);
  }

  /** Gives the node that listens on `port` of this machine a public address, `127.0.0.1:<port>`, for the others. */
  plug(name: string, port: number): string {
    assert(!this.#plugs.has(name), "A node is plugged in once", { name });
    const plug: Plug = { name, port, callers: new Map() };
    this.#plugs.set(name, plug);
    this.#byPort.set(port, plug);
    const socket = this.#listen((bytes, fromPort) => {
      const from = this.#byPort.get(fromPort) ?? this.#admitStranger(fromPort);
      if (from === undefined || from === plug) return;
      const via = plug.callers.get(from) ?? this.#openCaller({ from, to: plug, dialed: socket });
      this.#carry(this.#link(from, plug), bytes, via);
    });
    assert(socket.addr.transport === "udp", "A datagram socket has a UDP address");
    return `${LOOPBACK}:${socket.addr.port}`;
  }

  /** Changes one direction of a link; what is not named stays. */
  set(from: string, to: string, faults: Partial<LinkFaults>): void {
    const link = this.#link(this.#plugOf(from), this.#plugOf(to));
    link.faults = { ...link.faults, ...faults };
  }

  /** Changes every link in both directions. */
  setAll(faults: Partial<LinkFaults>): void {
    for (const from of this.#plugs.keys()) {
      for (const to of this.#plugs.keys()) if (from !== to) this.set(from, to, faults);
    }
  }

  /** Every link is perfect again; what is on its way still arrives when it was due. */
  heal(): void {
    for (const link of this.#links.values()) link.faults = PERFECT_LINK;
  }

  /** By sender, then receiver. */
  counts(): readonly LinkCount[] {
    return [...this.#links.values()].map(({ from, to, ...counts }) => ({
      from: from.name,
      to: to.name,
      packets: counts.packets,
      bytes: counts.bytes,
      droppedPackets: counts.droppedPackets,
      latePackets: counts.latePackets,
      repeatedPackets: counts.repeatedPackets,
    })).sort((a, b) => `${a.from} ${a.to}` < `${b.from} ${b.to}` ? -1 : 1);
  }

  /** What faults have done so far, on all links together: a test whose fault touched nothing has shown nothing. */
  spoiled(): Pick<LinkCount, "droppedPackets" | "latePackets" | "repeatedPackets"> {
    const sum = { droppedPackets: 0, latePackets: 0, repeatedPackets: 0 };
    for (const link of this.#links.values()) {
      sum.droppedPackets += link.droppedPackets;
      sum.latePackets += link.latePackets;
      sum.repeatedPackets += link.repeatedPackets;
    }
    return sum;
  }

  /** From now on keeps a copy of what is sent, up to `bytesMax` in all. */
  capture(bytesMax: number): void {
    this.#captureBytesLeft = bytesMax;
  }

  /** In the order sent. */
  captured(): readonly CapturedDatagram[] {
    return this.#captured;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.close();
    await Promise.all(this.#loops);
  }

  #plugOf(name: string): Plug {
    const plug = this.#plugs.get(name);
    assert(plug !== undefined, "No such node on the switch", { name });
    return plug;
  }

  #admitStranger(port: number): Plug | undefined {
    if (this.#byPort.size - this.#plugs.size >= STRANGERS_MAX) return undefined;
    const plug: Plug = { name: String(port), port, callers: new Map() };
    this.#byPort.set(port, plug);
    return plug;
  }

  #link(from: Plug, to: Plug): Link {
    const key = `${from.name}>${to.name}`;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const link: Link = {
      from,
      to,
      faults: PERFECT_LINK,
      packets: 0,
      bytes: 0,
      droppedPackets: 0,
      latePackets: 0,
      repeatedPackets: 0,
      freeAtMs: 0,
    };
    this.#links.set(key, link);
    return link;
  }

  /** `via` is the socket from which the receiver hears the datagram, and to which it answers. */
  #carry(link: Link, bytes: Uint8Array, via: Deno.DatagramConn): void {
    const { faults } = link;
    link.packets++;
    link.bytes += bytes.length;
    if (bytes.length <= this.#captureBytesLeft) {
      this.#captureBytesLeft -= bytes.length;
      this.#captured.push({ from: link.from.name, to: link.to.name, bytes });
    }
    // Drawn for every datagram, so that a cut shifts no draw of another link's.
    const lost = this.#percent(faults.lossPercent);
    const copies = this.#percent(faults.duplicatePercent) ? 2 : 1;
    const queueMs = this.#queue(link, bytes.length);
    const isTooLong = bytes.length > faults.datagramBytesMax;
    if (faults.cut || lost || isTooLong || queueMs === undefined) {
      link.droppedPackets++;
      return;
    }
    if (copies > 1) link.repeatedPackets++;
    if (queueMs + faults.delayMs + faults.jitterMs > 0) link.latePackets++;
    for (let copy = 0; copy < copies; copy++) {
      const jitterMs = faults.jitterMs === 0 ? 0 : this.#random.below(faults.jitterMs);
      this.#later(queueMs + faults.delayMs + jitterMs, () => {
        if (this.#closed) return;
        const address: Deno.NetAddr = { transport: "udp", hostname: LOOPBACK, port: link.to.port };
        // What can't be sent is lost: this is UDP.
        via.send(bytes, address).catch(() => {});
      });
    }
  }

  #percent(percent: number): boolean {
    return this.#random.below(1_000) < percent * 10;
  }

  /** Milliseconds until the link has room for the datagram and has sent it; undefined when too much waits already. */
  #queue(link: Link, length: number): number | undefined {
    const { bytesPerSecond } = link.faults;
    if (bytesPerSecond === Infinity) return 0;
    const nowMs = performance.now();
    const startMs = Math.max(nowMs, link.freeAtMs);
    if ((startMs - nowMs) / 1_000 * bytesPerSecond > QUEUE_BYTES_MAX) return undefined;
    link.freeAtMs = startMs + length / bytesPerSecond * 1_000;
    return link.freeAtMs - nowMs;
  }

  #later(delayMs: number, act: () => void): void {
    if (delayMs === 0) return act();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }

  /**
   * Where `to` hears `from`, when `from` called it. The answer comes back here and must reach `from` as if from the
   * public address that it had sent to: QUIC takes no answer from anywhere else.
   */
  #openCaller(
    call: { readonly from: Plug; readonly to: Plug; readonly dialed: Deno.DatagramConn },
  ): Deno.DatagramConn {
    const { from, to, dialed } = call;
    const socket = this.#listen((bytes, fromPort) => {
      if (fromPort === to.port) this.#carry(this.#link(to, from), bytes, dialed);
    });
    to.callers.set(from, socket);
    return socket;
  }

  /** A socket of the switch, whose datagrams are handed over until the switch is closed. */
  #listen(take: (bytes: Uint8Array, fromPort: number) => void): Deno.DatagramConn {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port: 0 });
    this.#sockets.push(socket);
    const loop = async () => {
      const buffer = new Uint8Array(DATAGRAM_BYTES_MAX);
      for (;;) {
        const [bytes, address] = await socket.receive(buffer);
        // Copied: the buffer is written over while the datagram still waits.
        if (address.transport === "udp") take(bytes.slice(), address.port);
      }
    };
    const ended = loop().catch((error) => {
      if (!this.#closed) throw error;
    });
    this.#loops.push(ended);
    return socket;
  }
}

/**
 * A UDP port of this machine that a process to be started can listen on, and again after a restart. Not one of those that
 * the system gives out for port 0, or another process could take it in between.
 */
export function findListenPort(random: Random): number {
  for (;;) {
    const port = random.between(10_000, 32_000);
    try {
      Deno.listenDatagram({ transport: "udp", hostname: LOOPBACK, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}
