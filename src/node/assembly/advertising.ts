import type { HostAddress } from "../../config/mod.ts";
import type { Clock, Log } from "../../ports/mod.ts";
import { joinAddresses } from "../../protocol/mod.ts";
import { formatAddress } from "../../transport/mod.ts";

/** How often a node looks whether this machine has another address now: a laptop changes networks while it runs. */
const LOOK_MS = 5_000;

/** What a node's addresses follow from. */
export interface AdvertisingParts {
  readonly advertised: readonly HostAddress[];
  readonly listen: Pick<HostAddress, "hostname">;
  /** Where it really listens. */
  readonly bound: string;
  /** Of this machine now; undefined when it has only loopback ones. */
  readonly outsideAddress: () => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** What others are told: what the user says, filled up with where this node really listens. */
export function advertisedAddresses(parts: AdvertisingParts): string {
  const { advertised, listen, bound, outsideAddress } = parts;
  const isAny = listen.hostname === "0.0.0.0" || listen.hostname === "::";
  const own = () => isAny ? outsideAddress() ?? "127.0.0.1" : listen.hostname;
  const wanted = advertised.length > 0 ? advertised : [{ hostname: "", port: 0 }];
  const addresses = wanted.map(({ hostname, port }) =>
    formatAddress({ hostname: hostname || own(), port: port || portOf(bound) })
  );
  return joinAddresses([...new Set(addresses)]);
}

/** Calls back with what others are to be told whenever that is another than before; returns how to stop. */
export function watchAddresses(
  parts: AdvertisingParts,
  onChanged: (addresses: string) => void,
): () => void {
  let told = advertisedAddresses(parts);
  let timer: { cancel(): void };
  const later = () => {
    timer = parts.clock.after(LOOK_MS, () => {
      const now = advertisedAddresses(parts);
      // A machine between two networks has no address to tell.
      const isNews = now !== told && parts.outsideAddress() !== undefined;
      if (isNews) {
        parts.log.log("info", "own_address_changed", { from: told, to: now });
        onChanged(told = now);
      }
      later();
    });
  };
  later();
  return () => timer.cancel();
}

/** Of `host:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
