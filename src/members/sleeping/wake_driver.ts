import {
  errorMessage,
  isEdgeError,
  type NodeId,
  RequestError,
  UnavailableError,
} from "../../base/mod.ts";
import {
  chooseWaker,
  hardwareKey,
  magicPacket,
  meanWakeMs,
  readHardware,
  readSleep,
  readWakeTime,
  sleepKey,
  WAKE_LIMITS,
  type WakeMember,
  wakeTimeKey,
  writeWakeTime,
} from "../../core/sleeping/mod.ts";
import type { Clock, Log, Metrics, Power } from "../../ports/mod.ts";
import type { SleepGroup, SleepingMember } from "./sleep_driver.ts";

/** Streams that ask a neighbour to wake a machine. */
export const WAKE_PURPOSE = "wake";
/** How long the catalogue may take for a time that was measured. Milliseconds. */
const PROPOSE_TIMEOUT_MS = 5_000;
/** How long a wake is told of to those who had to do with it. Milliseconds. */
const LATELY_MS = 5_000;
/** A measured time that differs from the known one by less than this part of it is no news. */
const NEWS_SHARE = 0.2;

/** What waking takes. */
export interface WakeDriverParts {
  readonly nodeId: NodeId;
  readonly group: Pick<SleepGroup, "catalogue" | "propose">;
  /** All other members that are not leaving. */
  readonly others: () => readonly SleepingMember[];
  readonly power: Pick<Power, "cards" | "broadcast">;
  /** Asks a neighbour to send the packet. @throws UnavailableError. */
  readonly askNeighbour: (neighbour: NodeId, target: NodeId) => Promise<void>;
  /** Calls back when a member's standing changes; returns how to stop. */
  readonly onMemberChanged: (listener: () => void) => () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** One wake under way, for all who wait for it. */
interface Wake {
  readonly sinceMs: number;
  readonly awake: Promise<number>;
}

/** Wakes machines of members, itself or through a neighbour, and measures how long they take. */
export class WakeDriver {
  readonly #parts: WakeDriverParts;
  readonly #wakes = new Map<NodeId, Wake>();
  readonly #ended = new Map<NodeId, { readonly atMs: number; readonly tookMs: number }>();

  constructor(parts: WakeDriverParts) {
    this.#parts = parts;
  }

  /** Until a member could be there, as far as is known; undefined = nobody can wake it. Milliseconds. */
  expectedMs(target: NodeId): number | undefined {
    if (this.#waker(target) === undefined) return undefined;
    const { catalogue } = this.#parts.group;
    const known = readWakeTime(catalogue.findSetting(wakeTimeKey(target))?.value);
    const sinceMs = this.#wakes.get(target)?.sinceMs;
    const passedMs = sinceMs === undefined ? 0 : this.#parts.clock.monotonicMs() - sinceMs;
    return Math.max(1, (known ?? WAKE_LIMITS.expectedMs) - passedMs);
  }

  /**
   * Resolves with the milliseconds it took until the machine is a member again. One wake serves all who ask for it.
   *
   * @throws RequestError `conflict` when nobody can wake it, UnavailableError `node_unreachable` when it did not wake in time.
   */
  wake(target: NodeId): Promise<number> {
    const known = this.#wakes.get(target);
    if (known !== undefined) return known.awake;
    const sinceMs = this.#parts.clock.monotonicMs();
    const awake = this.#measured(this.#wake(target, sinceMs))
      .finally(() => this.#wakes.delete(target));
    this.#wakes.set(target, { sinceMs, awake });
    return awake;
  }

  /** What the last wake of a machine took, where it was over a moment ago. Milliseconds. */
  wokenLately(target: NodeId): number | undefined {
    const ended = this.#ended.get(target);
    if (ended === undefined || this.#parts.clock.monotonicMs() - ended.atMs > LATELY_MS) {
      return undefined;
    }
    return ended.tookMs;
  }

  /** Sends the packet from this machine, for a neighbour that asks for it. */
  async sendPacket(target: NodeId): Promise<void> {
    const { power } = this.#parts;
    const own = new Set(power.cards().map(({ broadcast }) => broadcast));
    for (const { mac, broadcast } of this.#hardware(target)?.cards ?? []) {
      if (own.has(broadcast)) await power.broadcast(magicPacket(mac), broadcast);
    }
  }

  async #measured(wake: Promise<number>): Promise<number> {
    const { metrics } = this.#parts;
    try {
      const tookMs = await wake;
      metrics.observe("odist_wake_seconds", tookMs / 1_000);
      return tookMs;
    } catch (error) {
      metrics.increment("odist_wakes_failed_total");
      throw error;
    }
  }

  async #wake(target: NodeId, sinceMs: number): Promise<number> {
    const { clock, log, onMemberChanged } = this.#parts;
    const done = Promise.withResolvers<"awake" | "late">();
    let timer: { cancel(): void } | undefined;
    const look = () => {
      if (this.#isAwake(target)) done.resolve("awake");
    };
    const send = () => {
      if (clock.monotonicMs() - sinceMs >= WAKE_LIMITS.giveUpMs) return done.resolve("late");
      timer = clock.after(WAKE_LIMITS.repeatMs, send);
      this.#send(target).catch((error) => {
        if (!isEdgeError(error)) return done.reject(error);
        log.log("warn", "wake_not_sent", { node: target, reason: errorMessage(error) });
      });
    };
    const waker = this.#waker(target);
    if (waker === undefined && !this.#isAwake(target)) {
      throw new RequestError(
        "conflict",
        "no member that is awake can wake it: none is on its network",
      );
    }
    const stop = onMemberChanged(look);
    look();
    if (!this.#isAwake(target)) {
      log.log("info", "member_is_woken", { node: target, by: waker });
      send();
    }
    try {
      if (await done.promise === "late") {
        const seconds = WAKE_LIMITS.giveUpMs / 1_000;
        throw new UnavailableError("node_unreachable", `it did not wake within ${seconds} s`);
      }
    } finally {
      stop();
      timer?.cancel();
    }
    const tookMs = Math.round(clock.monotonicMs() - sinceMs);
    log.log("info", "member_is_awake", { node: target, tookMs });
    this.#ended.set(target, { atMs: clock.monotonicMs(), tookMs });
    void this.#tellTime(target, tookMs);
    return tookMs;
  }

  async #send(target: NodeId): Promise<void> {
    const waker = this.#waker(target);
    if (waker === undefined) return;
    if (waker === this.#parts.nodeId) await this.sendPacket(target);
    else await this.#parts.askNeighbour(waker, target);
  }

  /** So that others who wait for the same machine know it too. */
  async #tellTime(target: NodeId, tookMs: number): Promise<void> {
    const { group, log } = this.#parts;
    const key = wakeTimeKey(target);
    const known = readWakeTime(group.catalogue.findSetting(key)?.value);
    const meanMs = meanWakeMs(known, tookMs);
    if (known !== undefined && Math.abs(meanMs - known) < known * NEWS_SHARE) return;
    try {
      const value = writeWakeTime(meanMs);
      const command = { kind: "put_setting", key, value, expected: undefined } as const;
      await group.propose(command, { timeoutMs: PROPOSE_TIMEOUT_MS });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      log.log("debug", "wake_time_not_told", { reason: errorMessage(error) });
    }
  }

  #isAwake(target: NodeId): boolean {
    return this.#parts.others().some(({ nodeId, isAwake }) => nodeId === target && isAwake);
  }

  #hardware(nodeId: NodeId): WakeMember["hardware"] {
    return readHardware(this.#parts.group.catalogue.findSetting(hardwareKey(nodeId))?.value);
  }

  #waker(target: NodeId): NodeId | undefined {
    const { nodeId: self, group, others, power } = this.#parts;
    const members = others().map(({ nodeId, isAwake }): WakeMember => {
      const state = readSleep(group.catalogue.findSetting(sleepKey(nodeId))?.value)?.state;
      const stays = state !== "going" && state !== "asleep";
      return { nodeId, isAwake: isAwake && stays, hardware: this.#hardware(nodeId) };
    });
    const own = { nodeId: self, isAwake: true, hardware: { cards: [...power.cards()] } };
    const asleep = { nodeId: target, isAwake: false, hardware: this.#hardware(target) };
    return chooseWaker(self, asleep, [own, ...members]);
  }
}
