import { assert, equalBytes, keepMap, type StateKeeper } from "../../base/mod.ts";
import {
  VALUE_BYTES_MAX,
  VALUE_KEY_BYTES_MAX,
  type ValueDelta,
  type ValueEntry,
  valueEntryBytes,
} from "../../protocol/mod.ts";
import { VALUE_KEYS_MAX, VALUES_BYTES_MAX } from "./timing.ts";

/** Why a value was not taken. */
export type ValueRefusal = "bad_key" | "value_too_long" | "too_many_keys" | "too_many_bytes";

/**
 * One life's application values, the owner's or a copy. Each change by the owner takes the next version; a deletion is
 * an entry without value until it is collected.
 */
export class MemberValues {
  // Invariant: every change up to #version is in #entries or was outdated by one that is.
  #version = 0;
  // Invariant: no deletion at or below #collectedVersion is in #entries, and none of them can come back by a rumour.
  #collectedVersion = 0;
  #bytes = 0;
  readonly #entries = new Map<string, ValueEntry>();

  /** Changes known without a gap. */
  get version(): number {
    return this.#version;
  }

  /** Deletions up to here are forgotten. */
  get collectedVersion(): number {
    return this.#collectedVersion;
  }

  /** Present values by key, in key order. */
  present(): ReadonlyMap<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    for (const key of [...this.#entries.keys()].sort()) {
      const value = this.#entries.get(key)?.value;
      if (value !== undefined) found.set(key, value);
    }
    return found;
  }

  find(key: string): Uint8Array | undefined {
    return this.#entries.get(key)?.value;
  }

  /** True when the owner can't have made this change, by all of its changes up to here; false when that can't be told. */
  contradicts(entry: ValueEntry): boolean {
    if (entry.version > this.#version || entry.version <= this.#collectedVersion) return false;
    const held = this.#entries.get(entry.key);
    if (held === undefined || held.version < entry.version) return true;
    return held.version === entry.version && !isSame(held.value, entry.value);
  }

  /** The owner's own change. Deletions are collected when they take the room of a new key. */
  publish(key: string, value: Uint8Array | undefined): ValueEntry | ValueRefusal {
    if (!isValueKey(key)) return "bad_key";
    if ((value?.length ?? 0) > VALUE_BYTES_MAX) return "value_too_long";
    if (!this.#entries.has(key) && this.#entries.size >= VALUE_KEYS_MAX) {
      this.#collect(this.#version);
    }
    const entry = { key, version: this.#version + 1, value };
    const refusal = this.#refusalOf(entry);
    if (refusal !== undefined) return refusal;
    this.#put(entry);
    this.#version = entry.version;
    return entry;
  }

  /** A change heard out of turn; true when it was newer than what was held. */
  applyRumor(entry: ValueEntry): boolean {
    // At or below the collected version it may be a deleted key's last value: only a delta may bring those.
    if (entry.version <= this.#collectedVersion) return false;
    if (!this.#putIfNewer(entry)) return false;
    if (entry.version === this.#version + 1) this.#version = entry.version;
    return true;
  }

  /**
   * Changes after `fromVersion`, or all if the asker missed deletions that are forgotten here. Always whole: a member's
   * values are at most VALUES_BYTES_MAX.
   */
  deltaSince(asker: {
    readonly fromVersion: number;
    readonly collectedVersion: number;
  }): Omit<ValueDelta, "nodeId" | "bootEpoch"> {
    const missedCollection = asker.fromVersion < this.#collectedVersion &&
      asker.collectedVersion < this.#collectedVersion;
    const fromVersion = missedCollection ? 0 : asker.fromVersion;
    const entries = [...this.#entries.values()].filter((entry) => entry.version > fromVersion)
      .sort((a, b) => a.version - b.version);
    const toVersion = Math.max(this.#version, fromVersion);
    return { fromVersion, toVersion, collectedVersion: this.#collectedVersion, entries };
  }

  /** Takes a delta; returns the keys that changed. A delta that starts beyond what is known is refused. */
  applyDelta(delta: Omit<ValueDelta, "nodeId" | "bootEpoch">): string[] {
    const collectsMore = delta.collectedVersion > this.#collectedVersion;
    const restarts = delta.fromVersion === 0 && collectsMore;
    if (delta.fromVersion > this.#version && !restarts) return [];
    // A speaker that has collected less than we have may still hold what we know to be deleted.
    if (delta.collectedVersion < this.#collectedVersion) return [];
    const changed = new Set<string>();
    if (restarts) {
      const named = new Set(delta.entries.map((entry) => entry.key));
      for (const key of this.#dropUnnamed(delta.collectedVersion, named)) changed.add(key);
    } else if (collectsMore) {
      this.#collect(delta.collectedVersion);
    }
    for (const entry of delta.entries) if (this.#putIfNewer(entry)) changed.add(entry.key);
    this.#version = Math.max(this.#version, delta.toVersion);
    return [...changed].sort();
  }

  /** What a whole delta does not name was deleted; only later changes stay. Returns the keys dropped. */
  /** All of its state. */
  keep(keeper: StateKeeper): void {
    this.#version = keeper.keep(this.#version);
    this.#collectedVersion = keeper.keep(this.#collectedVersion);
    this.#bytes = keeper.keep(this.#bytes);
    keepMap(keeper, this.#entries);
  }

  #dropUnnamed(collectedVersion: number, named: ReadonlySet<string>): string[] {
    const dropped = [...this.#entries.values()].filter((entry) =>
      entry.version <= collectedVersion && !named.has(entry.key)
    );
    for (const entry of dropped) this.#remove(entry.key);
    this.#collectedVersion = collectedVersion;
    return dropped.filter((entry) => entry.value !== undefined).map((entry) => entry.key);
  }

  #putIfNewer(entry: ValueEntry): boolean {
    const held = this.#entries.get(entry.key);
    if (held !== undefined && held.version >= entry.version) return false;
    if (!isValueKey(entry.key) || this.#refusalOf(entry) !== undefined) return false;
    this.#put(entry);
    return true;
  }

  #refusalOf(entry: ValueEntry): ValueRefusal | undefined {
    const held = this.#entries.get(entry.key);
    if (held === undefined && this.#entries.size >= VALUE_KEYS_MAX) return "too_many_keys";
    const heldBytes = held === undefined ? 0 : valueEntryBytes(held);
    const bytes = this.#bytes - heldBytes + valueEntryBytes(entry);
    return bytes > VALUES_BYTES_MAX ? "too_many_bytes" : undefined;
  }

  #put(entry: ValueEntry): void {
    this.#remove(entry.key);
    this.#entries.set(entry.key, entry);
    this.#bytes += valueEntryBytes(entry);
    const [bytes, keys] = [this.#bytes, this.#entries.size];
    const fits = bytes <= VALUES_BYTES_MAX && keys <= VALUE_KEYS_MAX;
    assert(fits, "A member's values stay within their bounds", { bytes, keys });
  }

  #remove(key: string): void {
    const held = this.#entries.get(key);
    if (held === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= valueEntryBytes(held);
    assert(this.#bytes >= 0, "No value takes more than was counted for it", { key });
  }

  /** Forgets deletions up to `version`. */
  #collect(version: number): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.value === undefined && entry.version <= version) this.#remove(entry.key);
    }
    this.#collectedVersion = Math.max(this.#collectedVersion, version);
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a, b);
}

/** Printable ASCII without spaces, 1 to {@link VALUE_KEY_BYTES_MAX} characters. */
function isValueKey(key: string): boolean {
  return key.length > 0 && key.length <= VALUE_KEY_BYTES_MAX && /^[\x21-\x7e]+$/.test(key);
}
