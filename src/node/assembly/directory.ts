import type { NodeId } from "../../base/mod.ts";
import { judgeMember, type MemberRow, type MemberRows } from "../../core/catalogue/mod.ts";
import type { PeerDirectory } from "../../ports/mod.ts";

/** What a directory looks at. */
export interface DirectoryParts {
  /** The catalogue as far as this node has applied it. */
  readonly rows: () => MemberRows;
  /** Whether the catalogue is known to be up to date: a leader answers. */
  readonly isCurrent: () => boolean;
}

/** Who may connect: whom the catalogue admits; see docs/decisions/0002_members_by_catalogue.md. */
export class CatalogueDirectory implements PeerDirectory {
  readonly #parts: DirectoryParts;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
  }

  judge(nodeId: NodeId, publicKey: Uint8Array): ReturnType<PeerDirectory["judge"]> {
    const { rows, isCurrent } = this.#parts;
    return judgeMember(rows(), { nodeId, publicKey }, { current: isCurrent() });
  }

  findKey(nodeId: NodeId): Uint8Array | undefined {
    return this.#parts.rows().findMember(nodeId)?.publicKey;
  }
}

/** Who came and who went between two looks at the member rows. */
export interface MemberNews {
  readonly admitted: readonly NodeId[];
  /** Removed or revoked. */
  readonly expelled: readonly NodeId[];
}

/** Compares the admitted members with those of the last look. */
export class MemberWatch {
  #admitted: ReadonlySet<NodeId> = new Set();

  look(rows: Iterable<MemberRow>): MemberNews {
    const before = this.#admitted;
    const now = new Set<NodeId>();
    for (const row of rows) if (row.standing === "admitted") now.add(row.nodeId);
    this.#admitted = now;
    return {
      admitted: [...now].filter((nodeId) => !before.has(nodeId)).sort(),
      expelled: [...before].filter((nodeId) => !now.has(nodeId)).sort(),
    };
  }
}
