import { BoundedMap, type NodeId } from "../../base/mod.ts";

/** Addresses at which any member may be; further ones are passed over. */
const OPEN_HINTS_MAX = 8;
/** Members of which it was said where they are; the one said longest ago goes first. */
const NAMED_MAX = 1_024;
/** Addresses of each; the latest stay. */
const NAMED_ADDRESSES_MAX = 2;
/** How long an address at which one member was found is tried for no other. */
const FOUND_MS = 30_000;

/**
 * Addresses at which members may be, on the word of a user or of whoever speaks on the local network. Nobody is believed: a dial
 * there asks for the very key of the member that it looks for, and a wrong address costs the packets of one dial.
 */
export class AddressHints {
  readonly #monotonicMs: () => number;
  /** With who was found there last. */
  readonly #open = new Map<string, { readonly peer: NodeId; readonly atMs: number } | undefined>();
  readonly #named = new BoundedMap<NodeId, readonly string[]>(NAMED_MAX);

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Without `peer` any member may be there. */
  add(address: string, peer?: NodeId): void {
    if (peer === undefined) {
      if (this.#open.size < OPEN_HINTS_MAX) this.#open.set(address, this.#open.get(address));
      return;
    }
    const others = (this.#named.get(peer) ?? []).filter((other) => other !== address);
    this.#named.set(peer, [address, ...others].slice(0, NAMED_ADDRESSES_MAX));
  }

  /** Where a member may be. */
  of(peer: NodeId): readonly string[] {
    const open = [...this.#open.keys()].filter((address) => !this.#isAnothers(address, peer));
    return [...this.#named.get(peer) ?? [], ...open];
  }

  /** A member has proved that it is there. */
  noteFound(address: string, peer: NodeId): void {
    if (this.#open.has(address)) this.#open.set(address, { peer, atMs: this.#monotonicMs() });
  }

  #isAnothers(address: string, peer: NodeId): boolean {
    const found = this.#open.get(address);
    if (found === undefined || found.peer === peer) return false;
    return this.#monotonicMs() - found.atMs < FOUND_MS;
  }
}
