import { canonicalAddress, isLoopback } from "./hosts.ts";

/** How long this machine's addresses are taken for what they were: to ask for them costs more than many a request. */
const FRESH_MS = 1_000;

/** What telling own addresses takes. */
export interface OwnAddressesParts {
  /** Of this machine now, in any spelling. */
  readonly read: () => readonly string[];
  readonly monotonicMs: () => number;
}

/**
 * Tells whether an address is this machine's: one that it has given up, which may be another one's by now, is so for at most
 * a second more.
 */
export function ownAddresses(parts: OwnAddressesParts): (address: string) => boolean {
  let known: ReadonlySet<string | undefined> = new Set();
  let readMs = -Infinity;
  return (address) => {
    if (isLoopback(address)) return true;
    const nowMs = parts.monotonicMs();
    if (nowMs - readMs >= FRESH_MS) {
      known = new Set(parts.read().map(canonicalAddress));
      readMs = nowMs;
    }
    const wanted = canonicalAddress(address);
    return wanted !== undefined && known.has(wanted);
  };
}
