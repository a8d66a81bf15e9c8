import assert from "node:assert/strict";
import type { NodeId } from "../../src/base/mod.ts";
import { Catalogue, type Outcome } from "../../src/core/catalogue/mod.ts";
import type { RaftView } from "../../src/core/raft/mod.ts";
import type { AdminGroup } from "../../src/operators/admin.ts";
import { CATALOGUE_SCHEMA, type CatalogueCommand, encodeCommand } from "../../src/protocol/mod.ts";

/** Who votes and leads, and who learns, unless told otherwise. */
export const A = "00000000000000aa" as NodeId;
export const B = "00000000000000ab" as NodeId;

/** All members know the newest schema. */
function newestCatalogue(): Catalogue {
  const catalogue = Catalogue.empty();
  const command = { kind: "raise_schema", schema: CATALOGUE_SCHEMA } as const;
  catalogue.apply(1, encodeCommand({ command, request: undefined }));
  return catalogue;
}

/** A group of which every member answers at once. */
export class PromptGroup implements AdminGroup {
  readonly catalogue = newestCatalogue();
  readonly fenced = undefined;
  voters: readonly NodeId[] = [A];
  leader: NodeId | undefined = A;
  readonly #listeners = new Set<() => void>();

  /** Asked before each command is applied; may throw what the group would. */
  onPropose: (command: CatalogueCommand) => void = () => {};

  async propose(command: CatalogueCommand): Promise<Outcome> {
    this.onPropose(command);
    const bytes = encodeCommand({ command, request: undefined });
    const applied = this.catalogue.apply(this.catalogue.appliedIndex + 1, bytes);
    assert.ok(applied.kind === "answered");
    return applied.outcome;
  }

  read<T>(look: (catalogue: Catalogue) => T): Promise<T> {
    return Promise.resolve(look(this.catalogue));
  }

  quorumLostAtMs: number | undefined;

  readOrStale<T>(look: (catalogue: Catalogue) => T) {
    return Promise.resolve({ value: look(this.catalogue), consistency: "linearizable" as const });
  }

  view(): RaftView {
    return {
      id: A,
      role: this.leader === A ? "leader" : "follower",
      term: 3,
      vote: undefined,
      leader: this.leader,
      committed: this.catalogue.appliedIndex,
      applied: this.catalogue.appliedIndex,
      firstIndex: 1,
      lastIndex: this.catalogue.appliedIndex,
      configuration: {
        voters: this.voters,
        votersOutgoing: [],
        learners: [B],
        learnersNext: [],
        autoLeave: false,
      },
      transferTarget: undefined,
      votes: { granted: [], denied: [] },
      peers: [],
    };
  }

  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changeVoters(voters: readonly NodeId[]): void {
    this.voters = voters;
    for (const listener of this.#listeners) listener();
  }
}
