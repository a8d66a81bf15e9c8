import { PeerError } from "../../base/mod.ts";
import { CLIENT_PATH } from "../../protocol/mod.ts";
import { closeConn } from "../connecting/mod.ts";
import type { CloseReason } from "../connection.ts";
import { type ByteStreams, lostConnection, type StreamParts, takeStream } from "../framing/mod.ts";

/** A connection of a client, whatever carries it. */
export interface ClientSession {
  /** The next stream that the client opened; undefined when the session is over. @throws UnavailableError `peer_lost`. */
  nextStream(): Promise<StreamParts | undefined>;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  /** Safe to repeat. */
  close(reason: CloseReason): void;
}

/** A client that speaks QUIC as members do. */
export function sessionOverQuic(conn: Deno.QuicConn): ClientSession {
  return sessionOf(conn, conn.incomingBidirectionalStreams);
}

/**
 * A client that speaks WebTransport: browsers, above all.
 *
 * @throws PeerError `unknown_version` when it asks for a path that is none of ours.
 */
export async function sessionOverWebTransport(conn: Deno.QuicConn): Promise<ClientSession> {
  const transport = await Deno.upgradeWebTransport(conn);
  transport.closed.catch(() => {});
  await transport.ready;
  const { pathname } = new URL(transport.url);
  if (pathname !== CLIENT_PATH) {
    throw new PeerError("unknown_version", `WebTransport is at ${CLIENT_PATH}, not at ${pathname}`);
  }
  // The web's own types allow for shared memory, which the runtime never hands out here.
  const streams = transport.incomingBidirectionalStreams as ReadableStream<ByteStreams>;
  return sessionOf(conn, streams);
}

function sessionOf(conn: Deno.QuicConn, streams: ReadableStream<ByteStreams>): ClientSession {
  const incoming = streams.getReader();
  return {
    async nextStream() {
      try {
        const { done, value } = await incoming.read();
        return done ? undefined : takeStream(value);
      } catch (cause) {
        throw lostConnection(cause);
      }
    },
    closed: conn.closed.then(() => {}, () => {}),
    close: (reason) => closeConn(conn, reason),
  };
}
