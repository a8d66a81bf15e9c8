import type { NodeId } from "../base/mod.ts";
import type { RaftLogStore } from "../ports/mod.ts";
import { decodeCommand, type Entry } from "../protocol/mod.ts";

/** Bytes of entries that are looked at in one go. */
const READ_BYTES = 4 * 1024 * 1024;

/** The key (SPKI) that a node is let in with, or that it is shut out. */
export type UnappliedStanding = Uint8Array | "revoked";

/**
 * What entries say of members that the log holds and the catalogue has not applied yet: after a start those are all that
 * no leader has confirmed since, and a voter that was just let in must be heard to find a leader at all.
 */
export class UnappliedMembers {
  readonly #store: Pick<RaftLogStore, "entries" | "lastIndex" | "term" | "firstIndex">;
  readonly #appliedIndex: () => number;
  #seen = "";
  #standings = new Map<NodeId, UnappliedStanding>();

  constructor(
    store: Pick<RaftLogStore, "entries" | "lastIndex" | "term" | "firstIndex">,
    appliedIndex: () => number,
  ) {
    this.#store = store;
    this.#appliedIndex = appliedIndex;
  }

  /** Undefined where no such entry is about the node. */
  find(nodeId: NodeId): UnappliedStanding | undefined {
    const low = Math.max(this.#appliedIndex() + 1, this.#store.firstIndex());
    const high = this.#store.lastIndex() + 1;
    // Strangers dial often; the log is read again only when it has changed.
    const seen = `${low} ${high} ${this.#store.term(high - 1)}`;
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#standings = new Map();
      for (let at = low; at < high;) at = this.#read(at, high);
    }
    return this.#standings.get(nodeId);
  }

  #read(low: number, high: number): number {
    const entries = this.#store.entries(low, high, READ_BYTES) ?? [];
    for (const entry of entries) this.#take(entry);
    return entries.length === 0 ? high : low + entries.length;
  }

  #take(entry: Entry): void {
    if (entry.kind !== "command" || entry.data.length === 0) return;
    const decoded = decodeCommand(entry.data);
    if (decoded.kind !== "decoded") return;
    const { command } = decoded.value;
    switch (command.kind) {
      case "admit_member":
        if (this.#standings.get(command.nodeId) === "revoked") return;
        this.#standings.set(command.nodeId, command.publicKey);
        return;
      case "revoke_member":
        this.#standings.set(command.nodeId, "revoked");
        return;
      case "remove_member":
        if (this.#standings.get(command.nodeId) !== "revoked") {
          this.#standings.delete(command.nodeId);
        }
    }
  }
}
