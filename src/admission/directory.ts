import { BoundedMap, type NodeId } from "../base/mod.ts";
import { judgeMember, type MemberRow, type MemberRows } from "../core/catalogue/mod.ts";
import type { Clock, Log, PeerDirectory } from "../ports/mod.ts";
import type { UnappliedStanding } from "./unapplied_members.ts";

/** Nodes that are taken on a member's word at once; beyond, the one vouched for first is forgotten. */
const VOUCHED_MAX = 256;
/** Nodes that members are asked about at once. */
const ASKED_MAX = 8;
/** How long nobody is asked about the same node again, and how long after a failed read of the catalogue the next one. */
const ASK_PAUSE_MS = 1_000;

/** What a directory looks at and whom it tells. */
export interface DirectoryParts {
  /** The catalogue as far as this node has applied it. */
  readonly rows: () => MemberRows;
  /** What the log says that is not applied yet. */
  readonly unapplied: (nodeId: NodeId) => UnappliedStanding | undefined;
  readonly hasLeader: () => boolean;
  /** Resolves once the catalogue here holds all that was acknowledged before the call: a quorum stands behind the leader. */
  readonly catchUp: () => Promise<void>;
  /** Asks members that have a row here which key a node was let in with. */
  readonly askMembers: (nodeId: NodeId) => Promise<Uint8Array | undefined>;
  /** Members that the one that let this node in named, until it has a catalogue of its own. */
  readonly firstMembers: readonly { readonly nodeId: NodeId; readonly publicKey: Uint8Array }[];
  /** They are not needed any more. */
  readonly dropFirstMembers: () => void;
  /** Ends connections of whoever would not get in now. */
  readonly judgeAgain: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Who may connect: whom the catalogue admits, by the key in its row; see docs/decisions/0002_members_by_catalogue.md. While
 * this node can't know that its catalogue is up to date it also takes whom a member vouches for that has a row. All of
 * those are judged again as soon as the catalogue was read from a leader with a quorum behind it.
 */
export class CatalogueDirectory implements PeerDirectory {
  readonly #parts: DirectoryParts;
  readonly #vouched = new BoundedMap<NodeId, Uint8Array>(VOUCHED_MAX);
  readonly #asked = new Set<NodeId>();
  #isCurrent = false;
  #reading = false;
  #closed = false;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    for (const { nodeId, publicKey } of parts.firstMembers) this.#vouched.set(nodeId, publicKey);
  }

  judge(nodeId: NodeId, publicKey: Uint8Array): ReturnType<PeerDirectory["judge"]> {
    const { rows, unapplied } = this.#parts;
    const coming = unapplied(nodeId);
    if (coming === "revoked") return "revoked";
    const vouchedKey = coming ?? this.#vouched.get(nodeId);
    const judgement = judgeMember(rows(), { nodeId, publicKey }, vouchedKey);
    if (judgement === "unknown") this.#askAbout(nodeId);
    return judgement;
  }

  findKey(nodeId: NodeId): Uint8Array | undefined {
    const { rows, unapplied } = this.#parts;
    const coming = unapplied(nodeId);
    const key = rows().findMember(nodeId)?.publicKey ??
      (coming === "revoked" ? undefined : coming) ?? this.#vouched.get(nodeId);
    if (key === undefined) this.#askAbout(nodeId);
    return key;
  }

  /** To be called after each change of the leader, and often enough otherwise. */
  lookAtLeader(): void {
    if (this.#closed) return;
    if (!this.#parts.hasLeader()) this.#isCurrent = false;
    else if (!this.#isCurrent) void this.#catchUp();
  }

  close(): void {
    this.#closed = true;
  }

  async #catchUp(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      await this.#parts.catchUp();
      if (this.#parts.hasLeader() && !this.#closed) this.#becomeCurrent();
    } catch {
      // No quorum stands behind that leader, or it is gone: then nothing is known for sure yet.
      this.#parts.clock.after(ASK_PAUSE_MS, () => this.lookAtLeader());
    } finally {
      this.#reading = false;
    }
  }

  #becomeCurrent(): void {
    this.#isCurrent = true;
    this.#vouched.clear();
    this.#parts.dropFirstMembers();
    this.#parts.judgeAgain();
  }

  /** A catalogue that is up to date says no for good: then there is nobody to ask. */
  #askAbout(nodeId: NodeId): void {
    const { askMembers, clock, log } = this.#parts;
    if (this.#isCurrent || this.#closed || this.#asked.has(nodeId)) return;
    if (this.#asked.size >= ASKED_MAX) return;
    this.#asked.add(nodeId);
    clock.after(ASK_PAUSE_MS, () => this.#asked.delete(nodeId));
    askMembers(nodeId).then((publicKey) => {
      if (publicKey === undefined || this.#isCurrent || this.#closed) return;
      log.log("info", "peer_vouched_for", { peer: nodeId });
      this.#vouched.set(nodeId, publicKey);
    }, (error) => reportError(error));
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
