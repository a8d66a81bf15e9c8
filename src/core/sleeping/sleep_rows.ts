import type { NodeId } from "../../base/mod.ts";
import {
  arrayShape,
  choiceShape,
  integerShape,
  objectShape,
  readShape,
  type Shape,
  textOfShape,
  textShape,
} from "../../protocol/mod.ts";

/** What is kept of a machine's network cards: of more, the first. */
export const HARDWARE_LIMITS = { cardsMax: 8 } as const;
/** Manifests that a sleeping node is known to hold, the newest: what a setting has room for. */
export const SLEEP_HOLDS_MAX = 150;
const REASON_CHARS_MAX = 200;

/** Key of the setting that tells how a node's machine is woken. */
export function hardwareKey(nodeId: NodeId): string {
  return `hardware.${nodeId}`;
}

/** Key of the setting that tells that a node is to sleep, or does. */
export function sleepKey(nodeId: NodeId): string {
  return `sleep.${nodeId}`;
}

/** Key of the setting that tells how long a node's machine took to be a member again when it was woken. */
export function wakeTimeKey(nodeId: NodeId): string {
  return `wake_time.${nodeId}`;
}

const isMac = (text: string) => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text);
const isBroadcast = (text: string) => /^(\d{1,3}\.){3}\d{1,3}$/.test(text);

const hardwareShape = objectShape({
  cards: arrayShape(
    objectShape({
      mac: textOfShape<string>(17, isMac),
      /** Where all machines of its network segment hear: an IPv4 broadcast address. */
      broadcast: textOfShape<string>(15, isBroadcast),
    }),
    HARDWARE_LIMITS.cardsMax,
  ),
});

/** The network cards of a machine by which it can be woken. */
export type Hardware = ReturnType<typeof hardwareShape.read>;

const sleepShape = objectShape({
  /**
   * `wished`: somebody wants it to sleep. `going`: it does so, and the others do without it. `asleep`. `refused`: it won't, for
   * `reason`; whoever wished for it takes the row away.
   */
  state: choiceShape(["wished", "going", "asleep", "refused"]),
  reason: textShape(REASON_CHARS_MAX),
  /** Manifest prefixes, of `going` and `asleep`. */
  holds: arrayShape(textShape(16), SLEEP_HOLDS_MAX),
});

/** What the catalogue says of a node's sleep. */
export type Sleep = ReturnType<typeof sleepShape.read>;

const wakeTimeShape = objectShape({ ms: integerShape(0, 3_600_000) });

export function writeHardware(hardware: Hardware): string {
  return JSON.stringify({ cards: hardware.cards.slice(0, HARDWARE_LIMITS.cardsMax) });
}

/** Undefined where nothing is known, or it makes no sense. */
export function readHardware(value: string | undefined): Hardware | undefined {
  return read(hardwareShape, value);
}

export function writeSleep(sleep: Sleep): string {
  const { state } = sleep;
  const reason = sleep.reason.slice(0, REASON_CHARS_MAX);
  return JSON.stringify({ state, reason, holds: sleep.holds.slice(0, SLEEP_HOLDS_MAX) });
}

export function readSleep(value: string | undefined): Sleep | undefined {
  return read(sleepShape, value);
}

export function writeWakeTime(ms: number): string {
  return JSON.stringify({ ms: Math.round(ms) });
}

/** Milliseconds. */
export function readWakeTime(value: string | undefined): number | undefined {
  return read(wakeTimeShape, value)?.ms;
}

/** A setting is text that anybody with the right could have written. */
function read<T>(shape: Shape<T>, value: string | undefined): T | undefined {
  if (value === undefined) return undefined;
  try {
    const decoded = readShape(shape, JSON.parse(value));
    return decoded.kind === "decoded" ? decoded.value : undefined;
  } catch {
    return undefined;
  }
}
