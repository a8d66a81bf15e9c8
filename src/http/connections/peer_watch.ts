import { errorMessage } from "../../base/mod.ts";
import type { Clock, Log } from "../../ports/mod.ts";

/** How soon a request is given up after its client is gone; a table of connections is read as often while one waits. */
const LOOK_MS = 250;
/** The kernel's tables of TCP connections, IPv4 and IPv6. */
export const CONNECTION_TABLES: readonly string[] = [
  "/proc/self/net/tcp",
  "/proc/self/net/tcp6",
];
/** The kernel's number of a connection both of whose ends are open. */
const ESTABLISHED = "01";
/** And that of a socket that waits for connections. */
const LISTENING = "0A";

/** What watching needs. */
export interface PeerWatchParts {
  readonly clock: Pick<Clock, "after">;
  readonly log: Log;
  /** Reads a file as text. */
  readonly readText: (path: string) => Promise<string>;
}

/** One request whose client is watched. */
export interface WatchedPeer {
  /** Aborted when the client has closed its connection. */
  readonly gone: AbortSignal;
  /** Ends the watch: the answer has begun. */
  end(): void;
}

/**
 * Tells which clients have left while they wait for their answer to begin.
 *
 * Deno's server says so itself only when the request came whole in its first packet; with a body in a later one, its
 * signal stays silent until something is written. A client that gave up on a long prompt and asks again would then have
 * all its requests computed. So the kernel is asked, where it tells: on Linux.
 */
export class PeerWatch {
  readonly #parts: PeerWatchParts;
  readonly #localPort: () => number;
  readonly #watched = new Map<{ readonly port: number }, AbortController>();
  /** Those that were there at the last look: a request that is answered at once is not worth a table. */
  #waiting = new Map<{ readonly port: number }, AbortController>();
  #timer: { cancel(): void } | undefined;

  constructor(localPort: () => number, parts: PeerWatchParts) {
    this.#localPort = localPort;
    this.#parts = parts;
  }

  /** Watches the client at a remote port until it is gone or the watch is ended. */
  watch(remotePort: number): WatchedPeer {
    const key = { port: remotePort };
    const abort = new AbortController();
    this.#watched.set(key, abort);
    this.#timer ??= this.#parts.clock.after(LOOK_MS, () => void this.#look());
    return { gone: abort.signal, end: () => void this.#watched.delete(key) };
  }

  async #look(): Promise<void> {
    // Those that came while the table was being read may be missing in it.
    const waiting = [...this.#waiting].filter(([key]) => this.#watched.has(key));
    const open = waiting.length === 0 ? undefined : await this.#openPeers();
    for (const [key, abort] of waiting) {
      if (open === undefined || open.has(key.port)) continue;
      this.#watched.delete(key);
      abort.abort(new DOMException("The client went away", "AbortError"));
    }
    this.#waiting = new Map(this.#watched);
    this.#timer = this.#watched.size === 0
      ? undefined
      : this.#parts.clock.after(LOOK_MS, () => void this.#look());
  }

  async #openPeers(): Promise<ReadonlySet<number> | undefined> {
    const tables: string[] = [];
    for (const path of CONNECTION_TABLES) {
      try {
        tables.push(await this.#parts.readText(path));
      } catch (error) {
        // A machine without IPv6 has no second table.
        const reason = errorMessage(error);
        this.#parts.log.log("trace", "peer_table_unreadable", { path, reason });
      }
    }
    return establishedPeers(tables.join("\n"), this.#localPort());
  }
}

/**
 * The remote ports of open connections to `localPort` in a table of the kernel's; undefined when the table doesn't even
 * have the listening socket: a sandbox that hides connections must not make clients seem gone.
 */
export function establishedPeers(
  table: string,
  localPort: number,
): ReadonlySet<number> | undefined {
  const port = localPort.toString(16).toUpperCase().padStart(4, "0");
  // One pass: under load the table has thousands of lines of connections that ended.
  const row = new RegExp(`^ *\\d+: [0-9A-F]+:${port} [0-9A-F]+:([0-9A-F]{4}) (..) `, "gm");
  const open = new Set<number>();
  let isListening = false;
  for (const [, remotePort = "", state] of table.matchAll(row)) {
    if (state === LISTENING) isListening = true;
    else if (state === ESTABLISHED) open.add(Number.parseInt(remotePort, 16));
  }
  return isListening ? open : undefined;
}
