import { UnavailableError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import { encodeStreamHeader } from "../../protocol/mod.ts";
import { JOIN_FRAME_BYTES_MAX } from "../frame_pipe.ts";
import {
  FrameReader,
  isRuntimeLoss,
  lostConnection,
  StreamPipe,
  takeStream,
} from "../framing/mod.ts";
import type { DialSeed, Seed } from "../joining/mod.ts";
import { TRANSPORT_LIMITS } from "../limits.ts";
import { JOIN_PROTOCOL } from "../quic_settings.ts";
import { withDeadline } from "./deadline.ts";
import { dialByAnchor, type DialEndpoint, openDialEndpoint } from "./dial_endpoint.ts";
import { formatAddress } from "../resolve_address.ts";

/** How a node that is no member yet reaches one, from a port of its own that is given up afterwards. */
export function seedDialer(parts: { readonly clock: Clock }): DialSeed {
  return async (seed, trust) => {
    trust.signal.throwIfAborted();
    const { endpoint, family } = openDialEndpoint(seed.hostname);
    // All that is made here hangs on the endpoint; so closing it is enough, and safe to repeat.
    const close = () => {
      trust.signal.removeEventListener("abort", close);
      endpoint.close();
    };
    trust.signal.addEventListener("abort", close);
    try {
      const conn = await withDeadline(connect(seed, { ...trust, endpoint, family }), {
        clock: parts.clock,
        limitMs: TRANSPORT_LIMITS.dialTimeoutMs,
        late: () => unreachable(seed, "nobody answered"),
      });
      trust.signal.throwIfAborted();
      conn.closed.catch(() => {});
      const nowMs = () => parts.clock.monotonicMs();
      return { pipe: await openPipe(conn, nowMs), close };
    } catch (error) {
      close();
      throw error;
    }
  };
}

async function connect(
  seed: Seed,
  trust: Parameters<DialSeed>[1] & DialEndpoint,
): Promise<Deno.QuicConn> {
  try {
    return await dialByAnchor(formatAddress(seed), { ...trust, protocol: JOIN_PROTOCOL });
  } catch (error) {
    throw error instanceof UnavailableError ? unreachable(seed, error.message, error) : error;
  }
}

async function openPipe(conn: Deno.QuicConn, nowMs: () => number): Promise<StreamPipe> {
  try {
    const streams = takeStream(await conn.createBidirectionalStream());
    await streams.sink.write(encodeStreamHeader("hello"));
    const frames = { frameBytesMax: JOIN_FRAME_BYTES_MAX, nowMs };
    return new StreamPipe(streams, new FrameReader(streams.source, frames));
  } catch (cause) {
    throw isRuntimeLoss(cause) ? lostConnection(cause) : cause;
  }
}

function unreachable(seed: Seed, reason: string, cause?: unknown): UnavailableError {
  const text = `Cannot reach a member at ${formatAddress(seed)}: ${reason}`;
  return new UnavailableError("node_unreachable", text, { cause });
}
