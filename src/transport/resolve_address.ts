import { lookup } from "node:dns/promises";
import { UnavailableError } from "../base/mod.ts";
import { parseAddress } from "../protocol/mod.ts";

/** A name's addresses that are tried; more are passed over. */
const LOOKED_UP_MAX = 4;

/** Where to send packets. */
export interface ResolvedAddress {
  /** A literal IP address of the family that the socket speaks. */
  readonly hostname: string;
  readonly port: number;
}

/** A host's addresses now, the preferred first. Rejects when there are none. `family` 0 = of either version. */
export type LookUp = (hostname: string, family: 4 | 0) => Promise<
  readonly { readonly address: string; readonly family: number }[]
>;

const lookUpInSystem: LookUp = (hostname, family) => lookup(hostname, { family, all: true });

/**
 * Looks the host up anew each time, so that a node that moved is found again; a name may have several addresses. A socket of
 * the sixth version reaches the fourth by mapped addresses; the runtime does not map them itself.
 *
 * @throws UnavailableError `peer_lost` for an address that is none, a host that is not found and one of the wrong version.
 */
export async function resolveAddress(
  address: string,
  by: {
    /** Of the socket. */
    readonly family: 4 | 6;
    /** Default: the system's. */
    readonly lookUp?: LookUp | undefined;
  },
): Promise<readonly ResolvedAddress[]> {
  const parsed = parseAddress(address);
  if (parsed === undefined) {
    throw new UnavailableError("peer_lost", `Cannot connect to "${address}": it is not HOST:PORT`);
  }
  try {
    const { family, lookUp = lookUpInSystem } = by;
    const found = await lookUp(parsed.hostname, family === 4 ? 4 : 0);
    return found.slice(0, LOOKED_UP_MAX).map((one) => {
      const isMapped = family === 6 && one.family === 4;
      const hostname = isMapped ? `::ffff:${one.address}` : one.address;
      return { hostname, port: parsed.port };
    });
  } catch (cause) {
    const text = `Cannot connect to "${address}": the host is not found`;
    throw new UnavailableError("peer_lost", text, { cause });
  }
}

/** `host:port`, with brackets where the host has colons. */
export function formatAddress(
  address: { readonly hostname: string; readonly port: number },
): string {
  const { hostname, port } = address;
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
