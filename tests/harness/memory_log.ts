/**
 * The log's group without a network, for tests of what stands on it: every node has a catalogue of its own, applies the
 * same entries in the same order, and can be cut off.
 *
 * @module
 */
import { UnavailableError } from "../../src/base/mod.ts";
import { Catalogue, type Outcome } from "../../src/core/catalogue/mod.ts";
import type { CatalogueGroup } from "../../src/group/catalogue_group.ts";
import type { Reading } from "../../src/group/quorum_watch.ts";
import { type CatalogueCommand, encodeCommand } from "../../src/protocol/mod.ts";

/** The one log of a cluster. */
export class MemoryLog {
  readonly entries: Uint8Array[] = [];
  readonly #groups = new Set<MemoryGroup>();

  /** A node that begins with `kept` entries of the log, as after a restart; all of them unless told otherwise. */
  join(kept = this.entries.length): MemoryGroup {
    const group = new MemoryGroup(this);
    group.applyUpTo(kept);
    this.#groups.add(group);
    return group;
  }

  append(command: CatalogueCommand): void {
    this.entries.push(encodeCommand({ request: undefined, command }));
    for (const group of this.#groups) if (group.isConnected) group.applyUpTo(this.entries.length);
  }
}

/** One node's end of it. */
export class MemoryGroup implements CatalogueGroup {
  readonly catalogue = Catalogue.empty();
  readonly proposed: CatalogueCommand[] = [];
  /** Called after each entry, with the command. */
  onApplied: (command: CatalogueCommand) => void = () => {};
  readonly #log: MemoryLog;
  readonly #outcomes = new Map<number, Outcome>();
  #isConnected = true;

  constructor(log: MemoryLog) {
    this.#log = log;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** No quorum from here; entries of others wait. */
  cut(): void {
    this.#isConnected = false;
  }

  heal(): void {
    this.#isConnected = true;
    this.applyUpTo(this.#log.entries.length);
  }

  async propose(command: CatalogueCommand): Promise<Outcome> {
    this.#requireQuorum();
    this.proposed.push(command);
    this.#log.append(command);
    const outcome = this.#outcomes.get(this.#log.entries.length);
    if (outcome === undefined) throw new Error("the entry was not applied");
    return outcome;
  }

  async read<T>(look: (catalogue: Catalogue) => T): Promise<T> {
    this.#requireQuorum();
    this.applyUpTo(this.#log.entries.length);
    return look(this.catalogue);
  }

  async readOrStale<T>(look: (catalogue: Catalogue) => T): Promise<Reading<T>> {
    if (!this.#isConnected) return { value: look(this.catalogue), consistency: "stale" };
    return { value: await this.read(look), consistency: "linearizable" };
  }

  get quorumLostAtMs(): number | undefined {
    return this.#isConnected ? undefined : 0;
  }

  applyUpTo(index: number): void {
    while (this.catalogue.appliedIndex < index) {
      const next = this.catalogue.appliedIndex + 1;
      const applied = this.catalogue.apply(next, this.#log.entries[next - 1] ?? new Uint8Array());
      if (applied.kind !== "answered") throw new Error(`halted at entry ${next}`);
      this.#outcomes.set(next, applied.outcome);
      if (applied.command !== undefined) this.onApplied(applied.command.command);
    }
  }

  #requireQuorum(): void {
    if (this.#isConnected) return;
    throw new UnavailableError("no_quorum", "1 of 3 voters can be reached, 2 are needed");
  }
}
