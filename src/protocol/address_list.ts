/** Addresses of one node at most: a machine is in so many networks, and each costs a packet a dial. */
const NODE_ADDRESSES_MAX = 4;

const SEPARATOR = ",";

/** Each `host:port` of what a node is told to be at: one, or several with commas between them. "" has none. */
export function splitAddresses(text: string): readonly string[] {
  return text.split(SEPARATOR).filter((address) => address !== "").slice(0, NODE_ADDRESSES_MAX);
}

/** The form that {@link splitAddresses} reads. */
export function joinAddresses(addresses: readonly string[]): string {
  return addresses.join(SEPARATOR);
}
