import { errorMessage, type NodeId } from "../base/mod.ts";
import type { ModelStore, OptionDefaults } from "../models/mod.ts";
import type { Clock, Log, Metrics, Transport } from "../ports/mod.ts";
import type { StreamRouter } from "../calls/mod.ts";
import type { SchedulerDriver, ServingNode } from "./scheduler_driver.ts";
import {
  type AwayHolders,
  ClusterDefinitions,
  DESCRIBE_PURPOSE,
  describeServer,
  findOwnDefinition,
  type Holder,
} from "../library/mod.ts";
import { ClusterLeases, type OwnFigures, type Waking } from "./cluster_leases.ts";
import type { LeaseSource } from "./lease.ts";
import { LeaseServer } from "./lease_server.ts";
import { LEASE_PURPOSE, RemoteLeases } from "./remote_leases.ts";
import { RouteJournal } from "./route_journal.ts";
import { UNLOAD_PURPOSE, unloadModelAt, unloadServer } from "./unload.ts";

/** What serving requests across nodes takes. */
export interface ServingParts {
  readonly transport: Pick<Transport, "openStream">;
  /** Gets the handlers of this part's purposes. */
  readonly router: Pick<StreamRouter, "register">;
  readonly driver: Pick<SchedulerDriver, "acquire" | "requestUnload" | "view">;
  /** Over the cluster's catalogue. */
  readonly models: Pick<ModelStore, "find" | "getDefinition" | "isWholeHere" | "readContentLayers">;
  /** Other members that hold a manifest's blobs, from gossip; at once and for every request. */
  readonly holders: (manifestDigest: string) => readonly Holder[];
  /** As in `ClusterDefinitionsParts`. */
  readonly catchUp: () => Promise<"current" | "stale" | "never">;
  /** As in `ClusterDefinitionsParts`. */
  readonly away?: (manifestDigest: string) => AwayHolders;
  /** Wakes machines that sleep; absent = nobody does. */
  readonly waking?: Waking;
  /** As in `ClusterLeasesParts`. */
  readonly moves?: { readonly bytesPerMs: number | undefined } | undefined;
  readonly self: ServingNode;
  readonly isDrained: () => boolean;
  readonly ownFigures: () => OwnFigures;
  readonly defaults: Pick<
    OptionDefaults,
    "slots" | "flashAttention" | "kvCacheType" | "exact" | "speculate"
  >;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A node's part in serving the requests of its cluster. */
export interface Serving {
  /** For inference: slots of all nodes. */
  readonly leases: LeaseSource;
  /** For inference: models of all nodes. */
  readonly definitions: ClusterDefinitions;
  readonly journal: RouteJournal;
  /** Requests of this node that others serve or queue: a node that drains waits for them, too. */
  leasedElsewhere(): number;
  /** Requests of other nodes that run here: those go on elsewhere when this one stops. */
  servedCount(): number;
  /** Gossip suspects a peer, or its last connection ended: what runs there goes on elsewhere. */
  onPeerDoubted(peer: NodeId): void;
  /** Gossip declared a peer dead, or it was shut out: its slots here are free. */
  onPeerGone(peer: NodeId): void;
  /** Gives the slots on other nodes back. */
  close(): void;
}

/** Puts together what asks other nodes, and what answers them. */
export function createServing(parts: ServingParts): Serving {
  const { router, driver, models, clock, log } = parts;
  const journal = new RouteJournal();
  const remote = new RemoteLeases(parts);
  const findDefinition = findOwnDefinition(models);
  const server = new LeaseServer({ ...parts, findDefinition, journal });
  router.register(LEASE_PURPOSE, server);
  router.register(DESCRIBE_PURPOSE, describeServer(findDefinition, models));
  router.register(UNLOAD_PURPOSE, unloadServer(findDefinition, driver));
  const leases = new ClusterLeases({
    ...parts,
    remote,
    journal,
    supersede: (answer) => server.supersede(answer, parts.self.nodeId),
    unloadAt: (holder, model) => {
      unloadModelAt({ transport: parts.transport, clock }, holder, model).catch((error) =>
        log.log("debug", "unload_failed", { node: holder.nodeId, reason: errorMessage(error) })
      );
    },
  });
  return {
    leases,
    definitions: new ClusterDefinitions(parts),
    journal,
    leasedElsewhere: () => remote.leaseCount,
    servedCount: () => server.busyCount,
    onPeerDoubted: (peer) => remote.onPeerDoubted(peer),
    onPeerGone: (peer) => {
      remote.onPeerGone(peer);
      server.dropPeer(peer);
    },
    close: () => remote.close(),
  };
}
