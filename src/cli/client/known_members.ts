import { dirname, join } from "node:path";
import type { KnownMembers } from "../../transport/mod.ts";

/** In the data folder; by cluster. */
const FILE_NAME = "known_members.json";
/** Clusters that are remembered; those asked longest ago go first. */
const CLUSTERS_MAX = 64;

/**
 * The keys of a cluster's members as a member last told them to this user, so that a machine that was let in once and shut
 * out since is not taken for one.
 */
export class KnownMembersFile implements KnownMembers {
  readonly path: string;

  constructor(dataFolder: string) {
    this.path = join(dataFolder, FILE_NAME);
  }

  find(clusterId: string): readonly string[] {
    return this.#read()[clusterId] ?? [];
  }

  keep(clusterId: string, publicKeys: readonly string[]): void {
    const all = this.#read();
    if (all[clusterId]?.join() === publicKeys.join()) return;
    delete all[clusterId];
    const kept = [...Object.entries(all), [clusterId, publicKeys]].slice(-CLUSTERS_MAX);
    const text = JSON.stringify(Object.fromEntries(kept), undefined, 2);
    try {
      Deno.mkdirSync(dirname(this.path), { recursive: true });
      const fresh = `${this.path}.${Deno.pid}`;
      Deno.writeTextFileSync(fresh, `${text}\n`, { mode: 0o600 });
      Deno.renameSync(fresh, this.path);
    } catch {
      // Where nothing can be kept, each contact is the first one.
    }
  }

  #read(): Record<string, readonly string[]> {
    try {
      const parsed: unknown = JSON.parse(Deno.readTextFileSync(this.path));
      if (typeof parsed !== "object" || parsed === null) return {};
      const rows = Object.entries(parsed).filter(([, keys]) =>
        Array.isArray(keys) && keys.every((key) => typeof key === "string")
      );
      return Object.fromEntries(rows);
    } catch {
      return {}; // Absent at first; a damaged one is made anew by the next contact.
    }
  }
}
