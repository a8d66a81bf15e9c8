import type { Clock } from "../../ports/mod.ts";
import { type Announcement, decodeDiscovery, encodeDiscovery } from "../../protocol/mod.ts";
import type { MulticastOptions, MulticastWire } from "./multicast.ts";

/** UDP port of discovery, one above the cluster's default. */
const DISCOVERY_PORT = 11_436;
/** Milliseconds between announcements. */
const ANNOUNCE_EVERY_MS = 5_000;
/** Milliseconds between two announcements at least: queries must not make a network loud. */
const ANNOUNCE_GAP_MS = 250;
/** Milliseconds between the queries of who looks for nodes. */
const QUERY_EVERY_MS = 1_000;
/** Milliseconds to go on listening after the first node was heard: the nearest need not be the one that can admit. */
const GATHER_MS = 250;
/** Nodes remembered while looking. Who is heard first stays, or a flood could push the real ones out. */
const HEARD_MAX = 64;

/** A node that was heard on a local network. Anybody could have said so; TLS tells. */
export interface HeardNode {
  readonly announcement: Announcement;
  /** Where its cluster port should be. */
  readonly hostname: string;
  readonly port: number;
  /** Where its packet came from; an IP address. */
  readonly from: string;
}

/** What discovery runs on. */
export interface DiscoveryParts {
  readonly clock: Clock;
  readonly openWire: (options: MulticastOptions) => Promise<MulticastWire>;
  /** Default {@link DISCOVERY_PORT}. */
  readonly port?: number;
  readonly onFault: (text: string) => void;
}

/**
 * Tells the local networks where this node is, every few seconds and when somebody asks, until closed. Asks itself once, and
 * hands on where others say they are, whatever their cluster: an authority may have been replaced since.
 *
 * @throws UnavailableError `address_unusable`.
 */
export async function announce(
  announcement: Announcement,
  parts: DiscoveryParts & { readonly onHeard: (node: HeardNode) => void },
): Promise<{ close(): void }> {
  const { clock, openWire, port = DISCOVERY_PORT, onFault } = parts;
  const packet = encodeDiscovery({ kind: "announcement", announcement });
  let timer: { cancel(): void } | undefined;
  let lastMs = -Infinity;
  const say = () => {
    lastMs = clock.monotonicMs();
    wire.send(packet);
  };
  const onPacket = (bytes: Uint8Array, from: string) => {
    const decoded = decodeDiscovery(bytes);
    if (decoded.kind === "malformed") return;
    if (decoded.value.kind === "announcement") {
      return parts.onHeard(heardFrom(decoded.value.announcement, from));
    }
    if (decoded.value.clusterId !== announcement.clusterId) return;
    if (clock.monotonicMs() - lastMs >= ANNOUNCE_GAP_MS) say();
  };
  const wire = await openWire({ port, onPacket, onFault });
  const repeat = () => {
    say();
    timer = clock.after(ANNOUNCE_EVERY_MS, repeat);
  };
  repeat();
  wire.send(encodeDiscovery({ kind: "query", clusterId: announcement.clusterId }));
  return {
    close() {
      timer?.cancel();
      wire.close();
    },
  };
}

/**
 * Listens for nodes of a cluster and asks them to speak up. Returns those heard, in the order heard, a moment after the
 * first; an empty list when none was heard in time.
 *
 * @throws UnavailableError `address_unusable`; the signal's reason.
 */
export async function findNodes(
  clusterId: string,
  wanted: DiscoveryParts & { readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<readonly HeardNode[]> {
  const { clock, openWire, port = DISCOVERY_PORT, onFault, patienceMs, signal } = wanted;
  signal.throwIfAborted();
  const heard = new Map<string, HeardNode>();
  const ended = Promise.withResolvers<void>();
  const timers = new Set<{ cancel(): void }>();
  const onPacket = (bytes: Uint8Array, from: string) => {
    const node = readNode(bytes, from);
    if (node?.announcement.clusterId !== clusterId || heard.size >= HEARD_MAX) return;
    if (heard.size === 0) timers.add(clock.after(GATHER_MS, ended.resolve));
    const key = `${node.hostname} ${node.port}`;
    if (!heard.has(key)) heard.set(key, node);
  };
  const wire = await openWire({ port, onPacket, onFault });
  const query = encodeDiscovery({ kind: "query", clusterId });
  const ask = () => {
    wire.send(query);
    timers.add(clock.after(QUERY_EVERY_MS, ask));
  };
  const abort = () => ended.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  timers.add(clock.after(patienceMs, ended.resolve));
  try {
    ask();
    await ended.promise;
    return [...heard.values()];
  } finally {
    signal.removeEventListener("abort", abort);
    for (const timer of timers) timer.cancel();
    wire.close();
  }
}

function readNode(bytes: Uint8Array, from: string): HeardNode | undefined {
  const decoded = decodeDiscovery(bytes);
  if (decoded.kind === "malformed" || decoded.value.kind !== "announcement") return undefined;
  return heardFrom(decoded.value.announcement, from);
}

function heardFrom(announcement: Announcement, from: string): HeardNode {
  const { hostname, port } = announcement;
  return { announcement, hostname: hostname === "" ? from : hostname, port, from };
}
