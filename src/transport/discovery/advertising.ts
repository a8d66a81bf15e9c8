import type { Clock, Log } from "../../ports/mod.ts";
import { joinAddresses } from "../../protocol/mod.ts";
import { formatAddress } from "../resolve_address.ts";

/** How often a node looks whether this machine has another address now: a laptop changes networks while it runs. */
const LOOK_MS = 5_000;

/** As configured; "" and 0 stand for what this node has anyway. */
interface Place {
  readonly hostname: string;
  readonly port: number;
}

/** What a node's addresses follow from. */
export interface AdvertisingParts {
  readonly advertised: readonly Place[];
  readonly listen: Pick<Place, "hostname">;
  /** Where it really listens. */
  readonly bound: string;
  /** Of this machine now; undefined when it has only loopback ones. */
  readonly outsideAddress: () => string | undefined;
  /** Whether all who are told read lists: see {@link readLists}. */
  readonly readLists: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** What others are told: what the user says, filled up with where this node really listens. */
export function advertisedAddresses(parts: AdvertisingParts): string {
  const { advertised, listen, bound, outsideAddress } = parts;
  const own = () => isAnyHost(listen.hostname) ? outsideAddress() ?? "127.0.0.1" : listen.hostname;
  const wanted = advertised.length > 0 ? advertised : [{ hostname: "", port: 0 }];
  const addresses = wanted.map(({ hostname, port }) =>
    formatAddress({ hostname: hostname || own(), port: port || portOf(bound) })
  );
  const told = [...new Set(addresses)];
  return joinAddresses(parts.readLists() ? told : told.slice(0, 1));
}

/** Calls back with what others are to be told whenever that is another than `told`, which they were last. */
export function watchAddresses(
  parts: AdvertisingParts,
  by: { readonly told: string; readonly onChanged: (addresses: string) => void },
): {
  /** Who is told may have changed. */
  look(): void;
  stop(): void;
} {
  let { told } = by;
  let timer: { cancel(): void } | undefined;
  const look = () => {
    timer?.cancel();
    timer = parts.clock.after(LOOK_MS, look);
    const now = advertisedAddresses(parts);
    // A machine between two networks has no address to tell.
    const isBetween = parts.outsideAddress() === undefined && needsOutside(parts);
    if (now === told || isBetween) return;
    parts.log.log("info", "own_address_changed", { from: told, to: now });
    by.onChanged(told = now);
  };
  look();
  return { look, stop: () => timer?.cancel() };
}

/** Whether any of its addresses is the machine's present one. */
function needsOutside({ advertised, listen }: AdvertisingParts): boolean {
  const names = advertised.length > 0 ? advertised.map(({ hostname }) => hostname) : [""];
  return isAnyHost(listen.hostname) && names.includes("");
}

function isAnyHost(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

/** Of `host:port`. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
