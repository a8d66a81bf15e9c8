import { isEdgeError } from "../base/mod.ts";
import type { ApiKeyRow } from "../core/catalogue/mod.ts";
import { type CatalogueGroup, CHANGE_TIMEOUT_MS } from "../group/mod.ts";
import type { Clock } from "../ports/mod.ts";
import { ORIGIN_SCHEMA } from "../protocol/mod.ts";

/** A use is written down when the last one that was is older than this. */
const RESOLUTION_MS = 60 * 60 * 1_000;
/** Before a use that could not be written down is tried again. */
const RETRY_MS = 60 * 1_000;
/** Keys whose use is being written down at once; the others' next use does. */
const NOTES_MAX = 16;

/** What writing down uses takes. */
export interface KeyUsesParts {
  readonly group: () => Pick<CatalogueGroup, "catalogue" | "propose">;
  readonly clock: Pick<Clock, "nowMs">;
}

/** Keeps when each key was last used: coarsely, so that the log grows by a line an hour and key, however busy it is. */
export class KeyUses {
  readonly #parts: KeyUsesParts;
  /** When each key's use was last tried to be written down. As many as there are keys. */
  readonly #triedMs = new Map<string, number>();
  #open = 0;

  constructor(parts: KeyUsesParts) {
    this.#parts = parts;
  }

  note({ keyId, lastUsedAtMs }: Pick<ApiKeyRow, "keyId" | "lastUsedAtMs">): void {
    const nowMs = this.#parts.clock.nowMs();
    const triedMs = this.#triedMs.get(keyId) ?? -Infinity;
    if (nowMs - lastUsedAtMs < RESOLUTION_MS || nowMs - triedMs < RETRY_MS) return;
    const { catalogue } = this.#parts.group();
    if (this.#open >= NOTES_MAX || catalogue.schema < ORIGIN_SCHEMA) return;
    if (this.#triedMs.size > catalogue.apiKeys().length) this.#triedMs.clear();
    this.#triedMs.set(keyId, nowMs);
    void this.#write(keyId, nowMs);
  }

  async #write(keyId: string, atMs: number): Promise<void> {
    this.#open++;
    try {
      const command = { kind: "note_key_use", keyId, atMs } as const;
      await this.#parts.group().propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
    } catch (error) {
      // Without a quorum it stays unknown; the answer to who used the key does not depend on it.
      if (!isEdgeError(error)) throw error;
    } finally {
      this.#open--;
    }
  }
}
