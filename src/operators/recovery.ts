import type { NodeId } from "../base/mod.ts";
import { admittedMembers, type Catalogue } from "../core/catalogue/mod.ts";
import { type ChangesStanding, planRecovery } from "../core/voting/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { Fence } from "../group/mod.ts";
import type { RecoveryView } from "../ports/mod.ts";

/** What a recovery is judged by. */
export interface RecoverySight {
  readonly self: { readonly nodeId: NodeId };
  readonly group: {
    readonly catalogue: Catalogue;
    readonly fenced: Pick<Fence, "kind" | "reason"> | undefined;
    readonly quorumLostAtMs: number | undefined;
    view(): RaftView;
  };
  readonly changes: () => ChangesStanding;
  readonly seen: (
    nodeId: NodeId,
  ) => { readonly standing: string; readonly isFenced?: boolean } | undefined;
}

/** What a recovery by this node would do, by what it knows now. */
export function viewRecovery({ group, self, seen, changes }: RecoverySight): RecoveryView {
  const { configuration, lastIndex, committed } = group.view();
  const { fenced, catalogue } = group;
  const others = admittedMembers(catalogue, self.nodeId).map(({ nodeId, label }) => {
    const known = seen(nodeId);
    const isAlive = known?.standing === "alive" && known.isFenced !== true;
    return { nodeId, name: label || nodeId, isAlive };
  });
  const plan = planRecovery({
    standing: changes(),
    lostAtMs: group.quorumLostAtMs,
    // Whose cluster was recovered elsewhere may still be the one to go on with.
    broken: fenced?.kind === "recovered_elsewhere" ? undefined : fenced?.reason,
    configuration,
    self: self.nodeId,
    lastIndex,
    committedIndex: committed,
    others,
  });
  const base = { lastIndex, committedIndex: committed, modelCount: catalogue.models().length };
  return plan.kind === "refused"
    ? { ...base, refusal: plan.reason, leftBehind: [] }
    : { ...base, refusal: undefined, leftBehind: plan.leftBehind };
}
