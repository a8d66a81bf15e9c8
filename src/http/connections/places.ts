import { canonicalAddress } from "../trust/mod.ts";
import type { ConnectionLimits } from "./limits.ts";

/** Of all places, this machine's own clients may take three quarters: the rest is left for others. */
const OWN_SHARE = 0.75;
/** Groups of an IPv6 address that name its network: whoever has one has the 2^64 addresses in it. */
const NETWORK_GROUPS = 4;

/** Why a connection got no place. */
export type PlaceRefusal = "all_taken" | "address_has_its_share";

/** A client's share of the places is counted under one of these. */
type Holder = string;

/** Counts connections by who holds them. */
export class Places {
  readonly #limits: Pick<ConnectionLimits, "connectionsMax" | "connectionsPerAddressMax">;
  readonly #taken = new Map<Holder, number>();
  #count = 0;

  constructor(limits: Pick<ConnectionLimits, "connectionsMax" | "connectionsPerAddressMax">) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether a connection from there gets a place. Own machine: proxies, chat windows and benches speak for many. */
  refusalFor(holder: Holder): PlaceRefusal | undefined {
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    const share = holder === OWN_MACHINE
      ? Math.ceil(connectionsMax * OWN_SHARE)
      : connectionsPerAddressMax;
    if ((this.#taken.get(holder) ?? 0) >= share) return "address_has_its_share";
    return this.#count >= connectionsMax ? "all_taken" : undefined;
  }

  take(holder: Holder): void {
    this.#taken.set(holder, (this.#taken.get(holder) ?? 0) + 1);
    this.#count++;
  }

  free(holder: Holder): void {
    const left = (this.#taken.get(holder) ?? 0) - 1;
    if (left > 0) this.#taken.set(holder, left);
    else this.#taken.delete(holder);
    this.#count--;
  }
}

/** Under which this machine's own connections are counted. */
export const OWN_MACHINE: Holder = "own";

/** Under which another machine's connections are counted. */
export function holderOf(address: string): Holder {
  const canonical = canonicalAddress(address) ?? address;
  if (!canonical.includes(":")) return canonical;
  const [head = "", tail] = canonical.split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - groups.length - behind.length }, () => "0");
  const all = tail === undefined ? groups : [...groups, ...zeros, ...behind];
  return all.slice(0, NETWORK_GROUPS).join(":");
}
