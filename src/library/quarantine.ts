import { createHash } from "node:crypto";
import { type Digest, errorMessage, isEdgeError, type NodeId } from "../base/mod.ts";
import type { Outcome } from "../core/catalogue/mod.ts";
import type { BlobStore, Clock, Log } from "../ports/mod.ts";
import type { CatalogueCommand } from "../protocol/mod.ts";
import { type CatalogueGroup, CHANGE_TIMEOUT_MS } from "../group/mod.ts";

/** What {@link Quarantine} works with. */
export interface QuarantineParts {
  readonly self: NodeId;
  readonly group: Pick<CatalogueGroup, "catalogue" | "propose">;
  readonly blobs: Pick<BlobStore, "find" | "open" | "delete">;
  /** Whether another node of use holds the blob. */
  readonly isElsewhere: (digest: Digest) => boolean;
  /** A blob is gone: what this node holds is to be looked at again. */
  readonly onBlobLost: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Bytes read at once from a blob under doubt. */
const READ_BYTES = 1024 * 1024;
/** For people who look at the catalogue. */
const REASON = "another node received bytes with a wrong digest";

/**
 * Copies of blobs under doubt. A node that received wrong bytes reports the sender's copy; the sender gives it to nobody
 * until it has read it again itself, and throws it away when it is wrong and somebody else has it.
 */
export class Quarantine {
  readonly #parts: QuarantineParts;
  #checking: Promise<void> = Promise.resolve();
  readonly #checked = new Set<Digest>();

  constructor(parts: QuarantineParts) {
    this.#parts = parts;
  }

  /** Whether this node's own copy is under doubt. */
  has(digest: Digest): boolean {
    return this.#parts.group.catalogue.findQuarantined(digest)?.nodeId === this.#parts.self;
  }

  /** Tells the cluster; a report that can't be made now is made by whoever meets the bytes next. */
  report(digest: Digest, nodeId: NodeId): void {
    const atMs = this.#parts.clock.nowMs();
    void this.#propose({ kind: "quarantine_blob", digest, nodeId, reason: REASON, atMs });
  }

  /** To be called when the catalogue has changed, and once this node has caught up with it. */
  look(): void {
    const { group, self } = this.#parts;
    const doubted = group.catalogue.quarantine().filter(({ nodeId }) => nodeId === self);
    const digests = new Set(doubted.map(({ digest }) => digest));
    for (const digest of this.#checked) if (!digests.has(digest)) this.#checked.delete(digest);
    for (const digest of digests) {
      if (this.#checked.has(digest)) continue;
      this.#checked.add(digest);
      this.#checking = this.#checking.then(() => this.#check(digest)).catch((error) => {
        if (!isEdgeError(error)) throw error;
        this.#checked.delete(digest);
        this.#log("warn", "blob_not_checked", { digest, reason: errorMessage(error) });
      });
    }
  }

  /** Resolves when nothing is read any more. */
  async settled(): Promise<void> {
    await this.#checking;
  }

  async #check(digest: Digest): Promise<void> {
    const { blobs, isElsewhere, onBlobLost } = this.#parts;
    const isThere = await blobs.find(digest) !== undefined;
    const isSound = isThere && await this.#isSound(digest);
    if (isThere && !isSound) {
      if (!isElsewhere(digest)) {
        // The only copy there is: keeping it to itself is all that can be done for it.
        return this.#log("error", "blob_corrupt", { digest, kept: true });
      }
      await blobs.delete(digest);
      this.#log("error", "blob_corrupt", { digest, kept: false });
      onBlobLost();
    }
    if (isSound) this.#log("info", "blob_sound", { digest });
    await this.#propose({ kind: "release_blob", digest });
  }

  async #isSound(digest: Digest): Promise<boolean> {
    const reader = await this.#parts.blobs.open(digest);
    try {
      const hash = createHash("sha256");
      for (let at = 0; at < reader.blobBytes;) {
        const bytes = await reader.read(at, READ_BYTES);
        if (bytes.length === 0) return false;
        hash.update(bytes);
        at += bytes.length;
      }
      return `sha256:${hash.digest("hex")}` === digest;
    } finally {
      reader.close();
    }
  }

  async #propose(command: CatalogueCommand & { readonly digest: Digest }): Promise<void> {
    const { digest } = command;
    try {
      const outcome: Outcome = await this.#parts.group.propose(command, {
        timeoutMs: CHANGE_TIMEOUT_MS,
      });
      if (outcome.kind === "applied") return;
      this.#log("info", "quarantine_refused", { digest, reason: outcome.reason });
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      this.#log("warn", "quarantine_not_changed", { digest, reason: errorMessage(error) });
    }
  }

  #log(
    level: "info" | "warn" | "error",
    event: string,
    values: Readonly<Record<string, unknown>>,
  ): void {
    this.#parts.log.log(level, event, values);
  }
}
