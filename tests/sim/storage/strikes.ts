import type { NodeId, Random } from "../../../src/base/mod.ts";
import type { Fault } from "../raft/faults.ts";
import type { Injector } from "../raft/injector.ts";
import type { Replica } from "../raft/replica.ts";
import { findLeader, type World } from "../raft/world.ts";
import type { Trouble } from "./medium.ts";
import type { StoredLog } from "./stored_log.ts";

/** What befalls disks; a run has one kind of it. */
export const STORAGE_FAULTS = [
  "flip_log",
  "flip_snapshot",
  "cut_log",
  "cut_snapshot",
  "power_loss",
  "full_disk",
  "read_only",
  "failed_sync",
] as const;

/** One of {@link STORAGE_FAULTS}. */
export type StorageFault = (typeof STORAGE_FAULTS)[number];

/** What came of the strikes of one run. */
export interface StrikeTally {
  /** Files damaged, machines that lost what was not synced, calls that failed. */
  struck: number;
  /** Nodes that said by themselves that their log is damaged or can't be written. */
  said: number;
  /** Batches that were mended at a start. */
  mended: number;
  /** Times that a node led which had been struck before. */
  led: number;
}

/** Strikes of a run, and milliseconds from the one to the next. */
const STRIKES = 3;
const APART_MS = 4_000;
/** A trouble lasts so long; a machine is off so long. */
const TROUBLE_MS = { low: 300, high: 2_500 } as const;
const OFF_MS = { low: 5, high: 1_200 } as const;
/** The longest that a call of a slow disk takes. */
const LATE_MS = 1_300;
/** How long a strike waits for the moment that makes it one. */
const MOMENT_MS = 4_000;
/** How long a node that was struck is helped to lead. */
const LEADING_MS = 2_500;

const TROUBLES: Partial<Record<StorageFault, Trouble>> = {
  full_disk: "full",
  read_only: "read_only",
  failed_sync: "failed_sync",
};

/** Milliseconds that a run takes until all disks are well again. */
export const STRIKES_SPAN_MS = STRIKES * APART_MS + 7_000;

/** Brings faults upon the disks of a run: damage to a minority alone, for nobody can mend more. */
export class Strikes {
  readonly tally: StrikeTally = { struck: 0, said: 0, mended: 0, led: 0 };
  readonly #kind: StorageFault;
  readonly #changesGroup: boolean;
  readonly #world: World;
  readonly #injector: Injector;
  readonly #logs: ReadonlyMap<NodeId, StoredLog>;
  readonly #random: Random;
  readonly #victims: readonly Replica[];

  constructor(
    run: { readonly kind: StorageFault; readonly changesGroup: boolean },
    on: {
      readonly world: World;
      readonly injector: Injector;
      readonly logs: readonly StoredLog[];
      readonly random: Random;
    },
  ) {
    this.#kind = run.kind;
    this.#changesGroup = run.changesGroup;
    this.#world = on.world;
    this.#injector = on.injector;
    this.#random = on.random;
    const { replicas, nodeCount } = on.world;
    this.#logs = new Map(replicas.flatMap(({ id }, index) => {
      const log = on.logs[index];
      return log === undefined ? [] : [[id, log] as const];
    }));
    const voters = on.random.shuffle(replicas.slice(0, nodeCount));
    this.#victims = voters.slice(0, victimsMax({ nodeCount, changesGroup: run.changesGroup }));
  }

  /** Plans the strikes of a run that starts now. */
  begin(): void {
    for (let strike = 0; strike < STRIKES; strike++) {
      this.#world.time.after(1_500 + strike * APART_MS, () => this.#strike());
    }
  }

  /** Counts what is known at the end only. */
  end(): void {
    for (const log of this.#logs.values()) this.tally.mended += log.mended.length;
  }

  #strike(): void {
    if (this.#changesGroup) this.#changeGroup();
    this.#world.time.after(this.#changesGroup ? this.#random.below(60) : 0, () => {
      const trouble = TROUBLES[this.#kind];
      if (trouble !== undefined) this.#trouble(trouble);
      else if (this.#kind === "power_loss") this.#whenUnsynced(MOMENT_MS);
      else this.#damage();
    });
  }

  /** Asks for a change, and while the one is under way for another. */
  #changeGroup(): void {
    for (const atMs of [0, this.#random.between(50, 1_500)]) {
      this.#world.time.after(atMs, () => this.#injector.inject(this.#fault("membership", 400)));
    }
  }

  /** All machines, or some, lose their power while something is written. */
  #whenUnsynced(leftMs: number): void {
    const { replicas, time } = this.#world;
    const writing = replicas.filter(({ id, up }) => up && this.#logOf(id).medium.hasUnsynced);
    if (writing.length === 0 && leftMs > 0) {
      return time.after(1, () => this.#whenUnsynced(leftMs - 1));
    }
    if (writing.length > 0) this.tally.struck++;
    const off = this.#random.chance(1, 2)
      ? replicas
      : replicas.filter((replica) => writing.includes(replica) || this.#random.chance(1, 3));
    for (const replica of off) {
      if (!replica.up) continue;
      replica.crash({ power: true });
      this.#restartLater(replica);
    }
  }

  /** Of a node that is off, or is killed for it: as rot does, it shows when the file is read again. */
  #damage(): void {
    const victim = this.#victims.find(({ fenced }) => fenced === undefined);
    if (victim === undefined) return;
    victim.crash({ power: this.#random.chance(1, 2) });
    const { medium } = this.#logOf(victim.id);
    const before = medium.damages;
    const [how, what] = this.#kind.split("_");
    medium.damage(what === "log" ? "log" : "snapshot", how === "cut" ? "cut" : "flip");
    this.tally.struck += medium.damages - before;
    this.#restartLater(victim, () => this.#watch(victim));
  }

  #trouble(trouble: Trouble): void {
    const { replicas } = this.#world;
    const everybody = this.#random.chance(1, 3);
    const leader = findLeader(replicas);
    const struck = replicas.filter((replica) =>
      everybody || replica === leader || this.#random.chance(1, 2)
    );
    for (const { id } of struck) this.#logOf(id).medium.trouble = trouble;
    const lastsMs = this.#random.between(TROUBLE_MS.low, TROUBLE_MS.high);
    this.#endLater(struck, { from: this.#refusals(), lastsMs, leftMs: MOMENT_MS });
  }

  /** Not before it struck. */
  #endLater(
    struck: readonly Replica[],
    trouble: { readonly from: number; readonly lastsMs: number; readonly leftMs: number },
  ): void {
    const { from, lastsMs, leftMs } = trouble;
    this.#world.time.after(lastsMs, () => {
      const count = this.#refusals() - from;
      if (count === 0 && leftMs > 0) {
        // Whoever writes next meets it.
        const { replicas } = this.#world;
        for (const { id } of replicas) this.#logOf(id).medium.trouble = TROUBLES[this.#kind];
        return this.#endLater(replicas, { from, lastsMs: 50, leftMs: leftMs - 50 });
      }
      this.tally.struck += count;
      for (const replica of struck) {
        this.#endTrouble(replica);
        // A slow disk's failure may be on its way yet.
        this.#world.time.after(LATE_MS, () => {
          if (replica.fenced !== undefined) this.#endTrouble(replica);
        });
      }
    });
  }

  /** As a person does who has read why a node is fenced; some pull the plug. */
  #endTrouble(replica: Replica): void {
    const log = this.#logOf(replica.id);
    log.medium.trouble = undefined;
    if (replica.fenced !== undefined || log.saidNoRoom) this.tally.said++;
    log.saidNoRoom = false;
    if (replica.up) return;
    replica.crash({ power: this.#random.chance(1, 2) });
    this.#restartLater(replica);
  }

  #refusals(): number {
    return [...this.#logs.values()].reduce((sum, { medium }) => sum + medium.refusals, 0);
  }

  #restartLater(replica: Replica, started: () => void = () => {}): void {
    const { time } = this.#world;
    time.after(this.#random.between(OFF_MS.low, OFF_MS.high), () => {
      replica.restart();
      time.after(100, started);
    });
  }

  /** It says that it is damaged; or it is as good as any, and may lead. */
  #watch(victim: Replica, leftMs: number = LEADING_MS): void {
    if (victim.fenced !== undefined) {
      this.tally.said++;
      return;
    }
    if (victim.running && victim.raft.view().role === "leader") {
      this.tally.led++;
      return;
    }
    if (leftMs <= 0) return;
    const leader = findLeader(this.#world.replicas);
    leader?.handle("transfer", () => leader.raft.transferLeadership(victim.id));
    if (this.#random.chance(1, 6)) this.#injector.inject(this.#fault("isolate_leader", 700));
    this.#world.time.after(100, () => this.#watch(victim, leftMs - 100));
  }

  #fault(kind: Fault["kind"], spanMs: number): Fault {
    const amount = kind === "membership" ? this.#random.below(1_000) : 0;
    return { kind, atMs: 0, spanMs, node: 0, other: 0, amount, side: 0 };
  }

  #logOf(id: NodeId): StoredLog {
    const log = this.#logs.get(id);
    if (log === undefined) throw new Error(`no disk of ${id}`);
    return log;
  }
}

/** As many as leave a sound majority in each group that a run may come to. */
export function victimsMax(
  { nodeCount, changesGroup }: { readonly nodeCount: number; readonly changesGroup: boolean },
): number {
  return changesGroup ? 1 : Math.floor((nodeCount - 1) / 2);
}
