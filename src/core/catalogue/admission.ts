import { equalBytes, type NodeId } from "../../base/mod.ts";
import { type MemberRow, NODE_SETTING, type SettingRow } from "./rows.ts";

/** What a peer's claim to be a member is worth. */
export type MemberJudgement = "admitted" | "unknown" | "revoked" | "key_mismatch";

/** Member rows as they are looked up. */
export interface MemberRows {
  findMember(nodeId: NodeId): MemberRow | undefined;
  /** In any order. */
  members(): Iterable<MemberRow>;
}

/** Rows of those that belong now, `except` left out: neither removed nor revoked. */
export function admittedMembers(
  rows: Pick<MemberRows, "members">,
  except?: NodeId,
): readonly MemberRow[] {
  return [...rows.members()].filter(({ nodeId, standing }) =>
    standing === "admitted" && nodeId !== except
  );
}

/**
 * Decides about a peer that has proved that it has `publicKey`. A key that was revoked stays out under any id. A node
 * without a row gets in only with the very key that `vouchedKey` has for it: what a member said of it that has a row, or
 * entries say that are not applied yet. The judgement has to be asked for again when the rows change.
 */
export function judgeMember(
  rows: MemberRows,
  peer: { readonly nodeId: NodeId; readonly publicKey: Uint8Array },
  vouchedKey: Uint8Array | undefined,
): MemberJudgement {
  const row = rows.findMember(peer.nodeId);
  if (row?.standing === "revoked") return "revoked";
  if (row !== undefined) {
    return equalBytes(row.publicKey, peer.publicKey) ? "admitted" : "key_mismatch";
  }
  for (const other of rows.members()) {
    if (other.standing === "revoked" && equalBytes(other.publicKey, peer.publicKey)) {
      return "revoked";
    }
  }
  if (vouchedKey === undefined) return "unknown";
  return equalBytes(vouchedKey, peer.publicKey) ? "admitted" : "key_mismatch";
}

/** What a node is before it is told to join. */
export interface NodeBeforeJoin {
  /** Undefined for a node that is of no cluster yet. */
  readonly cluster:
    | { readonly clusterId: string; readonly origin: "founded" | "joined" }
    | undefined;
  /** Members besides itself, revoked ones too. */
  readonly otherMembers: number;
  /** Models, API keys, settings and tokens of its own catalogue. */
  readonly catalogueRows: number;
  /** Its cluster was recovered elsewhere: there is nothing to stay for. */
  readonly isOver: boolean;
}

/** Whether a node may join. */
export type JoinJudgement =
  | { readonly kind: "join" }
  /** It is a member of that very cluster: nothing to do. */
  | { readonly kind: "member_already" }
  /** What it would lose, for people. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Decides whether a node may join the cluster with `clusterId`. Joining forgets the cluster it is of, which a founder that
 * is alone and has nothing loses nothing by: that is every node that was started once without `--join`.
 */
export function judgeJoin(node: NodeBeforeJoin, clusterId: string): JoinJudgement {
  const { cluster, otherMembers, catalogueRows } = node;
  if (cluster === undefined) return { kind: "join" };
  if (cluster.clusterId === clusterId) return { kind: "member_already" };
  if (node.isOver) return { kind: "join" };
  const own = `this node is of cluster ${cluster.clusterId}`;
  const way = `leave it first ("odist leave") or start with another data folder`;
  if (cluster.origin === "joined" || otherMembers > 0) {
    const reason = `${own}, the token is of cluster ${clusterId}: ${way}`;
    return { kind: "refused", reason };
  }
  if (catalogueRows > 0) {
    const reason = `${own}, whose catalogue has ${catalogueRows} rows that would be lost by ` +
      `joining cluster ${clusterId}: ${way}`;
    return { kind: "refused", reason };
  }
  return { kind: "join" };
}

/** Key of the setting that holds the cluster's present authority; absent while it is the first one. */
export const AUTHORITY_KEY = "authority";

/** Keys of what a recovered cluster keeps of the one before: how it came about, and who has not come back. */
export const RECOVERY_KEY = /^recovery\.[0-9]+$/;
export const LEFT_BEHIND_KEY = /^left_behind\.[0-9a-f]{16}$/;

/** Settings that the cluster keeps for itself, those about a single node included: nobody sees or changes them as settings. */
export function isOwnSetting(key: string): boolean {
  return key === AUTHORITY_KEY || RECOVERY_KEY.test(key) || NODE_SETTING.test(key);
}

/** What the question of a new authority depends on. */
export interface AuthorityFacts {
  members(): Iterable<MemberRow>;
  findSetting(key: string): SettingRow | undefined;
}

/**
 * Whether the authority has to be replaced: a member was revoked after the present one came, and may have kept its key or a
 * certificate of it.
 */
export function isRotationDue(facts: AuthorityFacts): boolean {
  const since = facts.findSetting(AUTHORITY_KEY)?.revision ?? 0;
  for (const { standing, revision } of facts.members()) {
    if (standing === "revoked" && revision > since) return true;
  }
  return false;
}
