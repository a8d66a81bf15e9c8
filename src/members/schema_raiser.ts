import { errorMessage, isEdgeError } from "../base/mod.ts";
import type { Catalogue, Outcome } from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { Clock, Log } from "../ports/mod.ts";
import { CATALOGUE_SCHEMA, type CatalogueCommand } from "../protocol/mod.ts";

/** How often a node looks, while the schema is below what it knows. What members know is heard by gossip, unannounced. */
const LOOK_MS = 1_000;
const PROPOSE_TIMEOUT_MS = 5_000;

/** The log's group, as far as its schema is concerned. */
export interface SchemaGroup {
  readonly catalogue: Catalogue;
  view(): Pick<RaftView, "role">;
  propose(command: CatalogueCommand, options: { readonly timeoutMs: number }): Promise<Outcome>;
  /** Calls back after each change of role, leader or configuration; returns how to stop. */
  onChanged(listener: () => void): () => void;
}

/** What raising the schema takes. */
export interface SchemaRaiserParts {
  readonly group: SchemaGroup;
  /** What each admitted member applies, this node included; undefined = it has not said. */
  readonly schemas: () => readonly (number | undefined)[];
  readonly clock: Pick<Clock, "after">;
  readonly log: Log;
}

/**
 * Lets the leader allow newer commands once every member applies them; runs on every node and acts only while it leads. A
 * member that is away holds it up until it is back in a newer version, or taken out.
 */
export class SchemaRaiser {
  readonly #parts: SchemaRaiserParts;
  readonly #stopListening: () => void;
  #timer: { cancel(): void } | undefined;
  #state: "ready" | "proposing" | "closed" = "ready";

  constructor(parts: SchemaRaiserParts) {
    this.#parts = parts;
    this.#stopListening = parts.group.onChanged(() => this.look());
    this.look();
  }

  /** Something changed that the schema may depend on. */
  look(): void {
    const { group, clock } = this.#parts;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#state === "closed" || group.catalogue.schema >= CATALOGUE_SCHEMA) return;
    this.#timer = clock.after(LOOK_MS, () => this.look());
    const schema = this.#commonSchema();
    if (schema === undefined || schema <= group.catalogue.schema) return;
    if (this.#state === "ready" && group.view().role === "leader") void this.#raise(schema);
  }

  close(): void {
    this.#state = "closed";
    this.#stopListening();
    this.#timer?.cancel();
  }

  /** Undefined while nobody is admitted yet; 0 while somebody has not said. */
  #commonSchema(): number | undefined {
    const schemas = this.#parts.schemas();
    if (schemas.length === 0) return undefined;
    return Math.min(CATALOGUE_SCHEMA, ...schemas.map((schema) => schema ?? 0));
  }

  async #raise(schema: number): Promise<void> {
    const { group, log } = this.#parts;
    this.#state = "proposing";
    try {
      const command = { kind: "raise_schema", schema } as const;
      await group.propose(command, { timeoutMs: PROPOSE_TIMEOUT_MS });
      log.log("info", "schema_raised", { schema });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      // A later look finds out what became of it.
      log.log("debug", "schema_not_raised", { reason: errorMessage(error) });
    } finally {
      if (this.#state === "proposing") this.#state = "ready";
    }
  }
}
