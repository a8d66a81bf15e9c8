import { createServer, type Server, type ServerOptions } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { errorMessage } from "../../base/mod.ts";
import type { Clock, Log, Metrics } from "../../ports/mod.ts";
import { type AnswerRequest, Connection } from "./connection.ts";
import type { ConnectionLimits } from "./limits.ts";
import { holderOf, OWN_MACHINE, type PlaceRefusal, Places } from "./places.ts";

/** How often all connections are looked at. */
const LOOK_MS = 1_000;
/** Of a request line and headers together. */
const HEADER_BYTES_MAX = 64 * 1024;
/** A connection without a request for this long makes room for another. */
const IDLE_ENOUGH_MS = 1_000;

const SERVER_OPTIONS: ServerOptions & { readonly shouldUpgradeCallback: () => boolean } = {
  maxHeaderSize: HEADER_BYTES_MAX,
  shouldUpgradeCallback: () => false,
  // Times are measured by our own clock, which tests can turn.
  headersTimeout: 0,
  requestTimeout: 0,
  keepAliveTimeout: 0,
  requireHostHeader: false,
};

/** What listening needs. */
export interface ListenParts {
  readonly hostname: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whether an address is this machine's own. */
  readonly isOwn: (address: string) => boolean;
  readonly answer: AnswerRequest;
}

/** A socket that requests come in at. */
export interface HttpListener {
  readonly address: { readonly hostname: string; readonly port: number };
  /** Takes no more connections, and resolves when the last request on those there are is answered. */
  shutdown(): Promise<void>;
}

/**
 * Listens for HTTP/1.1. An upgrade that is offered is not taken, as the standard lets a server: the request is answered.
 *
 * @throws Deno.errors.AddrInUse and the others of {@link Deno.listen}.
 */
export async function listenHttp(parts: ListenParts): Promise<HttpListener> {
  const connections = new Connections(parts);
  const server = createServer(SERVER_OPTIONS, (incoming, outgoing) => {
    void connections.of(incoming.socket)?.answer(incoming, outgoing, parts.answer)
      .catch((error) => {
        // An answer that can't be sent is our fault, and this connection's end.
        parts.log.log("error", "answer_not_sent", { error: errorMessage(error) });
        incoming.socket.destroy();
      });
  });
  server.on("connection", (socket) => connections.open(socket));
  await bind(server, parts);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { hostname: address, port },
    shutdown: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.closeAll();
      return closed;
    },
  };
}

async function bind(server: Server, { hostname, port }: ListenParts): Promise<void> {
  const bound = Promise.withResolvers<void>();
  server.once("error", bound.reject);
  server.listen({ host: hostname, port }, bound.resolve);
  try {
    await bound.promise;
  } catch (error) {
    // The runtime's own errors say the same in classes of their own.
    Deno.listen({ hostname, port }).close();
    throw error;
  } finally {
    server.off("error", bound.reject);
  }
}

/** All connections of one listener. */
class Connections {
  readonly #parts: ListenParts;
  readonly #places: Places;
  readonly #open = new Map<Socket, { readonly connection: Connection; readonly holder: string }>();
  #timer: { cancel(): void } | undefined;

  constructor(parts: ListenParts) {
    this.#parts = parts;
    this.#places = new Places(parts.limits);
  }

  of(socket: Socket): Connection | undefined {
    return this.#open.get(socket)?.connection;
  }

  open(socket: Socket): void {
    const { clock, limits, isOwn } = this.#parts;
    const connection = new Connection(socket, { limits, nowMs: clock.monotonicMs() });
    const holder = isOwn(connection.address) ? OWN_MACHINE : holderOf(connection.address);
    const refusal = this.#places.refusalFor(holder);
    if (refusal !== undefined && !this.#makeRoom(refusal, holder)) {
      this.#ended(refusal);
      connection.refuse(tooMany(refusal));
      return;
    }
    this.#places.take(holder);
    this.#open.set(socket, { connection, holder });
    socket.once("close", () => {
      this.#open.delete(socket);
      this.#places.free(holder);
      this.#count();
    });
    this.#count();
    this.#timer ??= clock.after(LOOK_MS, () => this.#look());
  }

  closeAll(): void {
    for (const { connection } of this.#open.values()) connection.closeWhenIdle();
  }

  /** Whoever asks nothing makes room for who does. */
  #makeRoom(refusal: PlaceRefusal, holder: string): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    let longest: { readonly connection: Connection; readonly idleMs: number } | undefined;
    for (const open of this.#open.values()) {
      if (refusal === "address_has_its_share" && open.holder !== holder) continue;
      const idleMs = open.connection.idleMs(nowMs) ?? 0;
      if (idleMs >= (longest?.idleMs ?? IDLE_ENOUGH_MS)) {
        longest = { connection: open.connection, idleMs };
      }
    }
    longest?.connection.close();
    return longest !== undefined;
  }

  #look(): void {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    for (const { connection } of this.#open.values()) {
      const overdue = connection.endOverdue(nowMs);
      if (overdue !== undefined) this.#ended(overdue);
    }
    this.#timer = this.#open.size === 0 ? undefined : clock.after(LOOK_MS, () => this.#look());
  }

  #count(): void {
    this.#parts.metrics.set("odist_http_connections", this.#open.size);
  }

  #ended(why: string): void {
    this.#parts.metrics.increment("odist_http_connections_ended_total", { why });
    this.#parts.log.log("debug", "connection_ended", { why });
  }
}

function tooMany(refusal: PlaceRefusal): string {
  const body = JSON.stringify({
    error: refusal === "all_taken"
      ? "too many connections to this node"
      : "too many connections from this address",
  });
  return "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n" +
    `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}
