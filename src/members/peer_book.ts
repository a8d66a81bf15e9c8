import { BoundedMap, type NodeId } from "../base/mod.ts";
import type { KeptFile, PeerAddress } from "../ports/mod.ts";
import { ADDRESS_BYTES_MAX, parseAddress, splitAddresses } from "../protocol/mod.ts";

/** Addresses kept over a restart; those heard of longest ago go first. */
const ADDRESSES_MAX = 1_024;
const NODE_ID = /^[0-9a-f]{16}$/;

/**
 * Where members were last reached: what a restarted node asks first, and where the log's group finds members that gossip
 * has not met yet. A hint only: a wrong address costs a failed dial.
 */
export class PeerBook {
  readonly #file: KeptFile;
  readonly #addresses: BoundedMap<NodeId, string>;
  #saving: Promise<void> = Promise.resolve();
  #dirty = false;

  private constructor(file: KeptFile, addresses: BoundedMap<NodeId, string>) {
    this.#file = file;
    this.#addresses = addresses;
  }

  /** A file that is absent or can't be read is an empty book. */
  static async open(file: KeptFile): Promise<PeerBook> {
    const bytes = await file.read().catch(() => undefined);
    return new PeerBook(file, parseBook(new TextDecoder().decode(bytes)));
  }

  find(nodeId: NodeId): string | undefined {
    return this.#addresses.get(nodeId);
  }

  /** All but `self`, latest heard first. */
  others(self: NodeId): readonly PeerAddress[] {
    return [...this.#addresses].reverse().filter(([nodeId]) => nodeId !== self)
      .map(([nodeId, address]) => ({ nodeId, address }));
  }

  /** Whether a node was last reached at this address, which is no name. */
  knowsHost(hostname: string): boolean {
    const known = [...this.#addresses.values()].flatMap(splitAddresses);
    return known.some((address) => parseAddress(address)?.hostname === hostname);
  }

  /** Remembers where a node listens. */
  note(nodeId: NodeId, address: string): void {
    if (address === "" || this.#addresses.get(nodeId) === address) return;
    this.#addresses.set(nodeId, address);
    this.#save();
  }

  /** A node that no longer belongs is not asked again. */
  forget(nodeId: NodeId): void {
    if (this.#addresses.delete(nodeId)) this.#save();
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await this.#saving;
  }

  #save(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#saving = this.#saving.then(async () => {
      this.#dirty = false;
      const text = JSON.stringify(Object.fromEntries(this.#addresses));
      // A hint that could not be kept harms nobody, and the disk's own guard reports a bad disk.
      await this.#file.write(new TextEncoder().encode(text)).catch(() => {});
    });
  }
}

function parseBook(text: string): BoundedMap<NodeId, string> {
  const book = new BoundedMap<NodeId, string>(ADDRESSES_MAX);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return book;
  }
  if (typeof parsed !== "object" || parsed === null) return book;
  for (const [nodeId, address] of Object.entries(parsed).slice(0, ADDRESSES_MAX)) {
    const fits = typeof address === "string" && address.length <= ADDRESS_BYTES_MAX;
    if (NODE_ID.test(nodeId) && fits) book.set(nodeId as NodeId, address);
  }
  return book;
}
