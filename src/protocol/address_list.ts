/** Addresses of one node at most: a machine is in so many networks, and each costs a packet a dial. */
const NODE_ADDRESSES_MAX = 4;

const SEPARATOR = ",";

/** Each `host:port` of what a node is told to be at: one, or several with commas between them. "" has none. */
export function splitAddresses(text: string): readonly string[] {
  return text.split(SEPARATOR).filter((address) => address !== "").slice(0, NODE_ADDRESSES_MAX);
}

/** Takes one of them apart, `host:port` or `[host]:port`; undefined for anything else. */
export function parseAddress(
  address: string,
): { readonly hostname: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(address);
  const [, bracketed, plain, digits] = match ?? [];
  const hostname = bracketed ?? plain;
  const port = Number(digits);
  if (hostname === undefined || port < 1 || port > 65_535) return undefined;
  return { hostname, port };
}

/** The form that {@link splitAddresses} reads. */
export function joinAddresses(addresses: readonly string[]): string {
  return addresses.join(SEPARATOR);
}

/** From this version of the wire on a member may be told to be at several addresses. */
export const ADDRESS_LIST_WIRE = 2;

/** What is known of those who are told where a node is. */
export interface AddressReaders {
  /** Members besides it. */
  readonly others: number;
  /** The newest version of the wire of each that is alive and has said so. */
  readonly wires: readonly number[];
}

/** Whether a node may be told to be at several addresses: whoever speaks an older version takes the whole text for one. */
export function readLists({ others, wires }: AddressReaders): boolean {
  if (others === 0) return true;
  return wires.length > 0 && wires.every((wire) => wire >= ADDRESS_LIST_WIRE);
}
