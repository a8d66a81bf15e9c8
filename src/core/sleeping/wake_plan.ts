import { assert, type NodeId } from "../../base/mod.ts";
import type { Hardware } from "./sleep_rows.ts";

/** How a machine is woken. Milliseconds. */
export const WAKE_LIMITS = {
  /** What a wake is expected to take where none was measured. */
  expectedMs: 20_000,
  /** A packet is sent again after this: a card that has just gone to sleep may miss one. */
  repeatMs: 2_000,
  /** A machine that is not a member by then did not wake. */
  giveUpMs: 120_000,
} as const;

/** A member as far as waking is concerned. */
export interface WakeMember {
  readonly nodeId: NodeId;
  /** It is awake and stays so. */
  readonly isAwake: boolean;
  readonly hardware: Hardware | undefined;
}

/** Whether a member can wake a machine: only on the same network segment does its packet arrive. */
export function canWake(member: WakeMember, target: Hardware | undefined): boolean {
  if (!member.isAwake || member.hardware === undefined || target === undefined) return false;
  const { cards } = member.hardware;
  return target.cards.some(({ broadcast }) => cards.some((card) => card.broadcast === broadcast));
}

/** Who sends the packet: this node where it can, else the neighbour with the lowest id; undefined = nobody can. */
export function chooseWaker(
  self: NodeId,
  target: WakeMember,
  members: readonly WakeMember[],
): NodeId | undefined {
  const able = members.filter((member) =>
    member.nodeId !== target.nodeId && canWake(member, target.hardware)
  ).map(({ nodeId }) => nodeId).sort();
  return able.includes(self) ? self : able[0];
}

/** What a wake is expected to take after one more was measured: three quarters of what was known. Milliseconds. */
export function meanWakeMs(knownMs: number | undefined, measuredMs: number): number {
  return Math.round(knownMs === undefined ? measuredMs : (3 * knownMs + measuredMs) / 4);
}

const MAC_BYTES = 6;
const REPEATS = 16;

/** The payload that wakes the card: six bytes of ones, then its address sixteen times (AMD publication 20213, 1995). */
export function magicPacket(mac: string): Uint8Array<ArrayBuffer> {
  const address = Uint8Array.fromHex(mac.replaceAll(":", ""));
  assert(address.length === MAC_BYTES, "A hardware address has six bytes", { mac });
  const packet = new Uint8Array(MAC_BYTES * (1 + REPEATS)).fill(0xff);
  for (let at = MAC_BYTES; at < packet.length; at += MAC_BYTES) packet.set(address, at);
  return packet;
}
