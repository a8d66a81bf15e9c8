import { StorageError } from "../base/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import { foundingSnapshot } from "../core/raft/mod.ts";
import type { RaftLogStore } from "../ports/mod.ts";
import { GroupDriver } from "./driver.ts";
import type { Group, GroupParts } from "./group.ts";
import { GROUP_TIMING } from "./timing.ts";

/**
 * Opens this node's part of the group on its log: restores the catalogue, goes on where the log ends; on a damaged one it is
 * fenced from the start.
 *
 * @throws StorageError `corrupt_file` when the snapshot does not hold a catalogue this program knows.
 */
export async function openGroup(parts: GroupParts): Promise<Group> {
  const { store, founding, damage } = parts;
  const isEmpty = store.lastIndex() === 0 && store.initial().hardState.term === 0;
  if (isEmpty && founding !== undefined && damage === undefined) {
    const snapshot = foundingSnapshot(founding.voters, founding.state ?? foundingState());
    const { term, index } = snapshot.id;
    const hardState = { term, vote: undefined, commit: index };
    await store.write({ snapshot, entries: [], hardState });
  }
  const driver = new GroupDriver(
    { ...parts, timing: { ...GROUP_TIMING, ...parts.timing } },
    damage === undefined ? restoreCatalogue(store) : knownCatalogue(store),
  );
  driver.start();
  return driver;
}

/** The empty catalogue at the index a group begins with. */
function foundingState(): Uint8Array {
  const catalogue = Catalogue.empty();
  catalogue.apply(1, new Uint8Array(0));
  return catalogue.snapshot();
}

/** With the entries of a log of which nobody will say any more what is committed. */
function knownCatalogue(store: RaftLogStore): Catalogue {
  const catalogue = restoreCatalogue(store);
  const low = Math.max(store.firstIndex(), catalogue.appliedIndex + 1);
  for (const entry of store.entries(low, store.lastIndex() + 1, Infinity) ?? []) {
    catalogue.apply(entry.index, entry.kind === "command" ? entry.data : new Uint8Array(0));
  }
  return catalogue;
}

function restoreCatalogue(store: RaftLogStore): Catalogue {
  const snapshot = store.snapshot();
  if (snapshot === undefined) return Catalogue.empty();
  const restored = Catalogue.restore(snapshot.data);
  if (restored.kind === "malformed") {
    const message = `Cannot open the catalogue at index ${snapshot.id.index}: ${restored.reason}`;
    throw new StorageError("corrupt_file", message);
  }
  const { appliedIndex } = restored.value;
  if (appliedIndex !== snapshot.id.index) {
    const message = `Cannot open the catalogue: the log's snapshot is of index ` +
      `${snapshot.id.index}, what it holds of ${appliedIndex}`;
    throw new StorageError("corrupt_file", message);
  }
  return restored.value;
}
