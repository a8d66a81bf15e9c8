import { addressKind } from "../../src/models/registry/address_kind.ts";
import type { RegistryNetwork } from "../../src/models/registry/mod.ts";

/** A network of these names alone, by their addresses. 127.0.0.1 is held to be public; `::1` only this machine can reach. */
export function namedNetwork(
  names: Readonly<Record<string, readonly string[]>>,
): RegistryNetwork {
  return {
    resolve: (hostname) => {
      const addresses = names[hostname];
      if (addresses === undefined) return Promise.reject(new Error(`no such name ${hostname}`));
      return Promise.resolve(addresses);
    },
    kindOf: (address) => address === "127.0.0.1" ? "public" : addressKind(address),
    isProxied: () => false,
  };
}
