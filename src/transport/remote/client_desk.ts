import { PeerError, UnavailableError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import { type OtherCallers, withDeadline } from "../connecting/mod.ts";
import type { TransportLimits } from "../limits.ts";
import type { PeerFaults } from "../peer_faults.ts";
import { CLIENT_PROTOCOL, WEB_TRANSPORT_PROTOCOL } from "../quic_settings.ts";
import { type ClientSession, sessionOverQuic, sessionOverWebTransport } from "./client_session.ts";
import { type ClientHandler, greetClient, serveClient } from "./serve_client.ts";

/** What a desk works with. */
export interface ClientDeskParts {
  readonly handler: ClientHandler;
  readonly limits: TransportLimits;
  readonly clock: Clock;
  readonly faults: PeerFaults;
}

/** Lets in clients that show a key, and serves them. */
export class ClientDesk implements OtherCallers {
  readonly protocols: readonly string[] = [CLIENT_PROTOCOL, WEB_TRANSPORT_PROTOCOL];
  readonly #parts: ClientDeskParts;
  /** By session, its key. */
  readonly #sessions = new Map<ClientSession, string>();
  #closed = false;

  constructor(parts: ClientDeskParts) {
    this.#parts = parts;
  }

  async admit(conn: Deno.QuicConn): Promise<void> {
    const { clock, limits } = this.#parts;
    const { session, key } = await withDeadline(this.#greet(conn), {
      clock,
      limitMs: limits.helloTimeoutMs,
      late: () => new PeerError("peer_stalled", "A client does not come to the end of its hello"),
    });
    if (this.#closed || this.#sessions.size >= limits.clientSessionsMax) {
      throw new UnavailableError("queue_full", "Too many clients at once");
    }
    if (this.#sessionsOf(key) >= limits.clientSessionsPerKeyMax) {
      throw new UnavailableError("queue_full", "Too many clients with the same key at once");
    }
    this.#sessions.set(session, key);
    void this.#serve(session, { key, host: conn.remoteAddr.hostname });
  }

  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.keys()) session.close("done");
  }

  #sessionsOf(key: string): number {
    let count = 0;
    for (const other of this.#sessions.values()) if (other === key) count++;
    return count;
  }

  async #greet(conn: Deno.QuicConn): Promise<{ session: ClientSession; key: string }> {
    const overWeb = conn.protocol === WEB_TRANSPORT_PROTOCOL;
    const session = overWeb ? await sessionOverWebTransport(conn) : sessionOverQuic(conn);
    return { session, key: await greetClient(session, this.#parts) };
  }

  async #serve(
    session: ClientSession,
    of: { readonly key: string; readonly host: string },
  ): Promise<void> {
    try {
      await serveClient(session, { ...this.#parts, key: of.key, address: of.host });
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#parts.faults.note(of.host, error);
    } finally {
      this.#sessions.delete(session);
      session.close("done");
    }
  }
}
