import { TRANSPORT_LIMITS } from "../limits.ts";
import { quicSettings } from "../quic_settings.ts";
import { firstToAnswer } from "./first_to_answer.ts";
import { closeConn, connectionError } from "./quic_dialer.ts";
import type { ResolvedAddress } from "../resolve_address.ts";

/** Where one dial goes out. */
export interface DialEndpoint {
  readonly endpoint: Deno.QuicEndpoint;
  readonly family: 4 | 6;
}

/**
 * A port of its own for one dial, of the version of IP that the host is written in. Names are looked up as IPv4: most networks
 * have that, and a node listens on it unless told otherwise.
 */
export function openDialEndpoint(hostname: string): DialEndpoint {
  const family = hostname.includes(":") ? 6 : 4;
  const any = family === 6 ? "::" : "0.0.0.0";
  return { endpoint: new Deno.QuicEndpoint({ hostname: any, port: 0 }), family };
}

/**
 * Connects to whoever shows a certificate by `anchorPem` at `address`, as somebody who is no member.
 *
 * @throws PeerError when the certificate is another one's; UnavailableError `peer_lost`.
 */
export async function dialByAnchor(
  address: string,
  by: DialEndpoint & {
    readonly serverName: string;
    readonly anchorPem: string;
    readonly protocol: string;
  },
): Promise<Deno.QuicConn> {
  const connect = async (at: ResolvedAddress) => {
    try {
      return await Deno.connectQuic({
        ...quicSettings(TRANSPORT_LIMITS),
        ...at,
        endpoint: by.endpoint,
        serverName: by.serverName,
        caCerts: [by.anchorPem],
        alpnProtocols: [by.protocol],
      });
    } catch (cause) {
      throw connectionError(address, cause);
    }
  };
  const discard = (late: Deno.QuicConn) => closeConn(late, "done");
  return (await firstToAnswer([address], { family: by.family, connect, discard })).conn;
}
