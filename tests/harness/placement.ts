import type { PlacementOptions } from "../../src/core/catalogue/mod.ts";

/** What a node is configured with by default. */
export const PLACEMENT_DEFAULTS: PlacementOptions = {
  replicasDefault: 2,
  replicateAfterMs: 30_000,
  repairAfterMs: 60_000,
};
