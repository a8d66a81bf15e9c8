import type { LoadedElsewhere } from "../members/mod.ts";
import type { Clock, ListedModel, LoadedModelRow, ReadOptions } from "../ports/mod.ts";
import type { SchedulerDriver } from "../slots/mod.ts";

/** What a list of loaded models says besides, in a cluster. */
export interface OtherNodes {
  /** Name of this node. */
  readonly ownName: string;
  /** One for each other node, loaded models or not; none = this node is alone, and rows name no node. */
  loaded(): readonly LoadedElsewhere[];
}

/** What the rows of loaded models are made of. */
export interface LoadedRowsParts {
  readonly models: { list(options?: ReadOptions): Promise<readonly ListedModel[]> };
  readonly driver: Pick<SchedulerDriver, "view" | "findModel">;
  readonly clock: Clock;
  /** Absent on a node that can't have others. */
  readonly others?: OtherNodes;
}

/**
 * What is loaded, here and on other nodes, latest expiry first. A model that the catalogue no longer has runs on until it
 * expires, with nothing left to show of it.
 */
export async function listLoaded(
  parts: LoadedRowsParts,
  options?: ReadOptions,
): Promise<readonly LoadedModelRow[]> {
  const { models, others } = parts;
  const elsewhere = others?.loaded() ?? [];
  const listed = new Map((await models.list(options)).map((model) => [model.name, model]));
  const node = others === undefined || elsewhere.length === 0 ? {} : { node: others.ownName };
  const rows = loadedHere(parts, listed).map((row) => ({ ...row, ...node }));
  rows.push(...elsewhere.flatMap((told) => loadedThere(told, listed)));
  return rows.sort((a, b) => (a.expiresAtMs < b.expiresAtMs ? 1 : -1));
}

function loadedHere(
  { driver, clock }: LoadedRowsParts,
  listed: ReadonlyMap<string, ListedModel>,
): readonly LoadedModelRow[] {
  return driver.view().instances.flatMap((instance): LoadedModelRow[] => {
    const model = listed.get(instance.displayName);
    // Deleted while loaded: it runs on until it expires, but there is nothing left to show of it.
    if (model === undefined) return [];
    const loaded = driver.findModel(instance.instanceId);
    const idleMs = (instance.expiresAtMs ?? clock.monotonicMs() + instance.keepAliveMs) -
      clock.monotonicMs();
    return [{
      name: model.name,
      size: sizeOf(instance.memoryBytes, loaded?.split),
      sizeVram: loaded?.facts.deviceMemoryBytes ?? 0,
      digest: model.digest,
      details: model.details,
      expiresAtMs: clock.nowMs() + idleMs,
      contextLength: instance.contextTokens,
      ...loaded?.split && { shards: loaded.split.shards },
      ...(loaded?.facts.exactness === undefined ? {} : { exactness: loaded.facts.exactness }),
      ...(loaded?.facts.speculates === undefined ? {} : { speculates: loaded.facts.speculates }),
    }];
  });
}

/** On all nodes together. */
function sizeOf(
  ownBytes: number,
  split: { readonly shards: readonly { readonly memoryBytes: number }[] } | undefined,
): number {
  if (split === undefined) return ownBytes;
  return split.shards.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

/** Rows of models that the catalogue still has; the others run on until they expire, with nothing left to show of them. */
function loadedThere(
  told: LoadedElsewhere,
  listed: ReadonlyMap<string, ListedModel>,
): readonly LoadedModelRow[] {
  return told.copies.flatMap((copy): LoadedModelRow[] => {
    const model = listed.get(copy.name);
    if (model === undefined) return [];
    const split = told.split.find(({ manifest }) => manifest === copy.manifest);
    return [{
      name: model.name,
      size: sizeOf(copy.sizeBytes, split),
      sizeVram: copy.vramBytes,
      digest: model.digest,
      details: model.details,
      expiresAtMs: copy.expiresAtMs === 0 ? Infinity : copy.expiresAtMs,
      contextLength: copy.contextLength,
      node: told.node,
      ...split && { shards: split.shards },
    }];
  });
}
