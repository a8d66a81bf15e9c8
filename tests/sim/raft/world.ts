import type { Network } from "./network.ts";
import type { Replica } from "./replica.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Everything a run consists of, for those who disturb it and those who judge it. */
export interface World {
  readonly time: VirtualTime;
  readonly network: Network;
  readonly replicas: readonly Replica[];
  /** Voters at the start; the replicas behind them are let in later. */
  readonly nodeCount: number;
}

/** The running leader of the newest term. */
export function findLeader(replicas: readonly Replica[]): Replica | undefined {
  return findLeaders(replicas)[0];
}

/** All that run and believe that they lead, newest term first: a deposed one may not know yet. */
export function findLeaders(replicas: readonly Replica[]): Replica[] {
  return replicas
    .filter((replica) => replica.running && replica.raft.view().role === "leader")
    .sort((a, b) => b.raft.view().term - a.raft.view().term);
}
