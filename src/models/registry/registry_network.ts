import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { getProxyForUrl } from "proxy-from-env";
import { type AddressKind, addressKind } from "./address_kind.ts";

/** What is asked of the network before a connection is made; tests have one of their own. */
export interface RegistryNetwork {
  /** Numeric addresses of a host name, best first; never empty. Rejects for a name that is not known. */
  resolve(hostname: string): Promise<readonly string[]>;
  kindOf(address: string): AddressKind;
  /** Whether a proxy connects in this machine's place. */
  isProxied(url: URL): boolean;
}

/** The system's resolver, and the proxies that the environment names. */
export const SYSTEM_NETWORK: RegistryNetwork = {
  async resolve(hostname) {
    const found = await lookup(hostname, { all: true });
    return found.map(({ address }) => address);
  },
  kindOf: addressKind,
  isProxied(url) {
    // A proxy's loopback is not this machine's.
    return !isLoopbackName(hostnameOf(url)) && getProxyForUrl(url.href) !== "";
  },
};

/** Host name of an address without the brackets of IPv6. */
export function hostnameOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function isLoopbackName(hostname: string): boolean {
  if (isIP(hostname) !== 0) return addressKind(hostname) === "loopback";
  return /^(.+\.)?localhost\.?$/.test(hostname);
}
