import { errorMessage, isEdgeError, type NodeId, RequestError } from "../../base/mod.ts";
import type { Catalogue, Outcome } from "../../core/catalogue/mod.ts";
import type { RaftView } from "../../core/raft/mod.ts";
import {
  type Hardware,
  HARDWARE_LIMITS,
  hardwareKey,
  nextSleepStep,
  readHardware,
  readSleep,
  type Sleep,
  type SleepFacts,
  sleepKey,
  type SleepStep,
  whoStays,
  writeHardware,
  writeSleep,
} from "../../core/sleeping/mod.ts";
import type { Clock, Log, Metrics, Power } from "../../ports/mod.ts";
import type { CatalogueCommand } from "../../protocol/mod.ts";

/** How often a node asks itself whether it may sleep; while it is about to, the second. Milliseconds. */
const LOOK_MS = { awake: 5_000, going: 500 } as const;
/** How long the catalogue may take for one row. Milliseconds. */
const PROPOSE_TIMEOUT_MS = 5_000;
/** How often a machine that is put to sleep looks whether it has been asleep. Milliseconds. */
const WATCH_MS = 250;
/** A wall clock that went on by so much more than the looks at it: nothing ran in between. Milliseconds. */
const SLEPT_MS_MIN = 2_000;
/** A machine that has not fallen asleep by then won't. Milliseconds. */
const FALL_MS_MAX = 60_000;

/** The log's group, as far as sleep is concerned. */
export interface SleepGroup {
  readonly catalogue: Catalogue;
  view(): Pick<RaftView, "configuration" | "leader">;
  propose(command: CatalogueCommand, options: { readonly timeoutMs: number }): Promise<Outcome>;
  onApplied(listener: () => void): () => void;
}

/** Another member, as far as sleep is concerned. */
export interface SleepingMember {
  readonly nodeId: NodeId;
  /** Alive as far as gossip knows. */
  readonly isAwake: boolean;
}

/** What sleeping takes. */
export interface SleepDriverParts {
  readonly nodeId: NodeId;
  readonly group: SleepGroup;
  /** All other members that are not leaving. */
  readonly others: () => readonly SleepingMember[];
  readonly facts: () => Pick<SleepFacts, "requests" | "onlyHere">;
  /** Of the manifests that this node holds, the newest first. */
  readonly holds: () => readonly string[];
  readonly power: Pick<Power, "cards" | "isUserHere" | "suspend">;
  /** After how much idleness; undefined = only when asked. Milliseconds. */
  readonly sleepAfterMs: number | undefined;
  /** Says goodbye to the others. */
  readonly farewell: () => Promise<void>;
  /** Is a member again. */
  readonly rejoin: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Lets a node sleep and come back: looks at what it knows, and carries out the one step that the core orders. */
export class SleepDriver {
  readonly #parts: SleepDriverParts;
  readonly #stopListening: () => void;
  #timer: { cancel(): void } | undefined;
  #isBusy = false;
  #isClosed = false;
  #idleSinceMs: number;
  #row: { readonly revision: number; readonly sinceMs: number } | undefined;
  /** Milliseconds; undefined = it did not sleep, as far as is known. */
  #slept = Promise.withResolvers<number | undefined>();

  constructor(parts: SleepDriverParts) {
    this.#parts = parts;
    this.#idleSinceMs = parts.clock.monotonicMs();
    this.#stopListening = parts.group.onApplied(() => {
      if (this.#ownRow() !== undefined) void this.look();
    });
    this.#lookIn(LOOK_MS.awake);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#timer?.cancel();
    this.#slept.resolve(undefined);
  }

  /** Something is asked of this node: it is not idle. */
  noteUse(): void {
    this.#idleSinceMs = this.#parts.clock.monotonicMs();
  }

  /** One look and the step that it leads to; nothing while another one is under way. */
  async look(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    try {
      await this.#tellHardware();
      await this.#carryOut(await this.#nextStep());
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      this.#parts.log.log("warn", "sleep_step_failed", { reason: errorMessage(error) });
    } finally {
      this.#isBusy = false;
      if (!this.#isClosed) {
        this.#lookIn(this.#ownRow() === undefined ? LOOK_MS.awake : LOOK_MS.going);
      }
    }
  }

  #lookIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(ms, () => void this.look());
  }

  #ownRow(): { readonly sleep: Sleep | undefined; readonly revision: number } | undefined {
    const { group, nodeId } = this.#parts;
    const row = group.catalogue.findSetting(sleepKey(nodeId));
    return row && { sleep: readSleep(row.value), revision: row.revision };
  }

  async #nextStep(): Promise<SleepStep> {
    const { sleepAfterMs, power, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const { requests, ...facts } = this.#parts.facts();
    if (requests > 0) this.noteUse();
    const idleMs = nowMs - this.#idleSinceMs;
    const row = this.#ownRow();
    if (row?.revision !== this.#row?.revision) {
      this.#row = row && { revision: row.revision, sinceMs: nowMs };
    }
    const isDue = row === undefined && sleepAfterMs !== undefined && idleMs >= sleepAfterMs;
    // Asked only where it matters: it starts a process.
    const isUserHere = isDue ? await power.isUserHere() : undefined;
    return nextSleepStep({
      facts: { ...facts, requests, idleMs, sleepAfterMs, isUserHere, ...this.#whoStays() },
      row: row === undefined ? undefined : row.sleep?.state ?? "asleep",
      rowMs: nowMs - (this.#row?.sinceMs ?? nowMs),
      isVoter: this.#isVoter(),
    });
  }

  #whoStays(): Pick<SleepFacts, "guards" | "heirs"> {
    const { catalogue } = this.#parts.group;
    const hardware = { cards: this.#cards() };
    return whoStays(
      { revision: this.#ownRow()?.revision, hardware },
      this.#parts.others().map(({ nodeId, isAwake }) => {
        const row = catalogue.findSetting(sleepKey(nodeId));
        const state = readSleep(row?.value)?.state ?? "asleep";
        return {
          nodeId,
          isAwake,
          hardware: readHardware(catalogue.findSetting(hardwareKey(nodeId))?.value),
          row: row && { state, revision: row.revision },
        };
      }),
    );
  }

  #isVoter(): boolean {
    const { voters, votersOutgoing } = this.#parts.group.view().configuration;
    return [...voters, ...votersOutgoing].includes(this.#parts.nodeId);
  }

  async #carryOut(step: SleepStep): Promise<void> {
    const { log } = this.#parts;
    switch (step.kind) {
      case "none":
        return;
      case "announce":
        await this.#say("going");
        return log.log("info", "sleep_announced");
      case "refuse":
        await this.#say("refused", step.reason);
        return log.log("info", "sleep_refused", { reason: step.reason });
      case "withdraw":
        await this.#dropRow();
        return log.log("info", "sleep_withdrawn", { reason: step.reason });
      case "suspend":
        return await this.#sleep();
      case "return":
        return await this.#dropRow();
    }
  }

  /** From here on the others do without it; what it is asked all the same keeps it awake. */
  async #sleep(): Promise<void> {
    const { facts, power, farewell, rejoin, log, metrics } = this.#parts;
    await this.#say("asleep");
    metrics.set("odist_sleeping", 1);
    await farewell();
    try {
      const { requests } = facts();
      if (requests > 0) {
        return log.log("info", "sleep_withdrawn", { reason: `${requests} requests came` });
      }
      log.log("info", "machine_falls_asleep");
      const slept = this.#watchClock();
      try {
        await power.suspend();
        this.#count(await slept);
      } catch (error) {
        if (!isEdgeError(error)) throw error;
        this.#count(undefined);
        log.log("error", "sleep_failed", { reason: errorMessage(error) });
      }
    } finally {
      this.#slept.resolve(undefined);
      metrics.set("odist_sleeping", 0);
      if (!this.#isClosed) {
        rejoin();
        this.noteUse();
        log.log("info", "machine_is_awake");
      }
    }
  }

  #count(sleptMs: number | undefined): void {
    const { metrics } = this.#parts;
    if (sleptMs !== undefined) metrics.observe("odist_sleep_seconds", sleptMs / 1_000);
    else if (!this.#isClosed) metrics.increment("odist_sleeps_failed_total");
  }

  /** Resolves once this machine has slept, with for how long, or did not fall asleep in time. */
  #watchClock(): Promise<number | undefined> {
    const { clock, log } = this.#parts;
    const slept = this.#slept = Promise.withResolvers<number | undefined>();
    const beganMs = clock.nowMs();
    const watch = (beforeMs: number) =>
      void clock.after(WATCH_MS, () => {
        const nowMs = clock.nowMs();
        const awayMs = nowMs - beforeMs;
        if (awayMs >= SLEPT_MS_MIN) return slept.resolve(awayMs - WATCH_MS);
        if (nowMs - beganMs < FALL_MS_MAX && !this.#isClosed) return watch(nowMs);
        log.log("warn", "machine_did_not_sleep", { waitedMs: nowMs - beganMs });
        slept.resolve(undefined);
      });
    watch(beganMs);
    return slept.promise;
  }

  /** How this machine is woken, where the others don't know it. */
  async #tellHardware(): Promise<void> {
    const { group, nodeId } = this.#parts;
    const value = writeHardware({ cards: this.#cards() });
    const key = hardwareKey(nodeId);
    const isMember = group.catalogue.findMember(nodeId) !== undefined;
    if (!isMember || group.view().leader === undefined) return;
    const told = group.catalogue.findSetting(key)?.value;
    if (told === value || (told === undefined && this.#cards().length === 0)) return;
    await this.#propose({ kind: "put_setting", key, value, expected: undefined });
  }

  #cards(): Hardware["cards"] {
    const cards = [...this.#parts.power.cards()];
    return cards.sort((a, b) => a.mac < b.mac ? -1 : 1).slice(0, HARDWARE_LIMITS.cardsMax);
  }

  async #say(state: Sleep["state"], reason = ""): Promise<void> {
    const holds = state === "refused" ? [] : this.#parts.holds();
    const value = writeSleep({ state, reason, holds });
    const key = sleepKey(this.#parts.nodeId);
    // Whoever changed it meanwhile is heard first.
    const expected = this.#ownRow()?.revision ?? 0;
    await this.#propose({ kind: "put_setting", key, value, expected });
  }

  async #dropRow(): Promise<void> {
    const row = this.#ownRow();
    if (row === undefined) return;
    const key = sleepKey(this.#parts.nodeId);
    await this.#propose({ kind: "delete_setting", key, expected: row.revision });
  }

  async #propose(command: CatalogueCommand): Promise<void> {
    const { group } = this.#parts;
    const outcome = await group.propose(command, { timeoutMs: PROPOSE_TIMEOUT_MS });
    if (outcome.kind === "refused") {
      throw new RequestError(
        "conflict",
        `what was known of its sleep has changed: ${outcome.reason}`,
      );
    }
  }
}
