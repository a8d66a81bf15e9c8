import { UnavailableError } from "../../base/mod.ts";
import { type LookUp, resolveAddress, type ResolvedAddress } from "../resolve_address.ts";

/** Where a connection leads. */
export interface Answered<Conn> {
  readonly conn: Conn;
  /** Of those tried, as given. */
  readonly address: string;
}

/** How an address is tried. */
export interface FirstToAnswerParts<Conn> {
  /** Of the socket. */
  readonly family: 4 | 6;
  readonly lookUp?: LookUp | undefined;
  readonly connect: (at: ResolvedAddress, address: string) => Promise<Conn>;
  /** Takes those that answered too late. */
  readonly discard: (conn: Conn) => void;
}

/**
 * Tries all addresses at once, and all that their names have: which network leads to a machine now is known to nobody. The first
 * that answers is kept.
 *
 * @throws what the first of the addresses was refused with, when none answers.
 */
export async function firstToAnswer<Conn>(
  addresses: readonly string[],
  parts: FirstToAnswerParts<Conn>,
): Promise<Answered<Conn>> {
  const { connect, discard } = parts;
  let isDecided = false;
  const attempt = async (at: ResolvedAddress, address: string) => {
    const conn = await connect(at, address);
    if (isDecided) discard(conn);
    isDecided = true;
    return { conn, address };
  };
  const tries = addresses.map(async (address) => {
    const places = await resolveAddress(address, parts);
    return await anyOf(places.map((at) => attempt(at, address)));
  });
  return await anyOf(tries);
}

/** As `Promise.any`, but with the first error itself. */
async function anyOf<T>(attempts: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(attempts);
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    throw error.errors[0] ?? new UnavailableError("peer_lost", "There is no address to connect to");
  }
}
