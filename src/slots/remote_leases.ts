import { type NodeId, UnavailableError } from "../base/mod.ts";
import { LEASES_PER_PEER_MAX, patienceWith } from "../core/answers/mod.ts";
import type { Clock, PeerAddress, RequestAccount, Transport } from "../ports/mod.ts";
import type { LoadedFacts } from "../protocol/mod.ts";
import { LEASE_VERSION, type LeaseOpening, openPurpose } from "../calls/mod.ts";
import type { Lease } from "./scheduler_driver.ts";
import type { LeaseRequest } from "./lease.ts";
import { RemoteModel } from "./remote_model.ts";

/** What streams of leases say they are for. */
export const LEASE_PURPOSE = "lease";

/** What asking other nodes for slots takes. */
export interface RemoteLeasesParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
}

/** Where to ask. */
export interface RemotePeer extends PeerAddress {
  /** For people; may be "". */
  readonly name: string;
  /** Whether another node could be asked instead: then there is less patience with this one. */
  readonly isReplaceable: boolean;
  /** Whether another node could go on, now, with what runs there: while it runs, nodes come and go. */
  readonly couldGoOnElsewhere: (facts: LoadedFacts | undefined) => boolean;
}

/** Slots of other nodes: a stream each, which lives as long as the slot is held. */
export class RemoteLeases {
  readonly #parts: RemoteLeasesParts;
  readonly #open = new Map<NodeId, Map<RemoteModel, RemotePeer>>();
  #isClosed = false;

  constructor(parts: RemoteLeasesParts) {
    this.#parts = parts;
  }

  /** Streams to a peer now, waiting requests included. */
  openCount(peer: NodeId): number {
    return this.#open.get(peer)?.size ?? 0;
  }

  /** Leases on all peers, waiting ones included: requests of this node that others serve. */
  get leaseCount(): number {
    return [...this.#open.values()].reduce((sum, models) => sum + models.size, 0);
  }

  /**
   * Resolves with a slot of `peer`.
   *
   * @throws UnavailableError `peer_lost` when it can't be reached or goes away before the slot is held, `queue_full`; what
   *   the peer refused with; the signal's reason.
   */
  async acquire(peer: RemotePeer, request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    // An answer cut by the close would otherwise resume on another node.
    if (this.#isClosed) throw new UnavailableError("stopping", "the node is stopping");
    if (this.openCount(peer.nodeId) >= LEASES_PER_PEER_MAX) throw tooMany(peer);
    const model = await this.#connect(peer, request, signal);
    const forget = this.#remember(peer, model);
    void model.exited.then(forget);
    const close = () => model.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      if (signal.aborted) close();
      const { loadNs } = await model.granted;
      const servedBy = { nodeId: peer.nodeId, name: peer.name };
      return { model, loadNs, servedBy, isElsewhere: true, release: close, lost: close };
    } catch (error) {
      model.close();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  /**
   * Gossip suspects a peer: what runs there goes on elsewhere unless the peer speaks. What no other node could go on with
   * stays, since many a suspicion comes to nothing, and a peer that is really gone falls silent.
   */
  onPeerDoubted(peer: NodeId): void {
    for (const [model, { couldGoOnElsewhere }] of [...this.#open.get(peer) ?? []]) {
      if (couldGoOnElsewhere(model.grantedFacts)) model.doubt();
    }
  }

  /** A peer is declared dead or was shut out: what runs there is lost. */
  onPeerGone(peer: NodeId): void {
    for (const model of [...this.#open.get(peer)?.keys() ?? []]) model.giveUp();
  }

  /** Gives all slots back, and takes no more. */
  close(): void {
    this.#isClosed = true;
    for (const models of this.#open.values()) for (const model of [...models.keys()]) model.close();
  }

  async #connect(
    peer: RemotePeer,
    request: LeaseRequest,
    signal: AbortSignal,
  ): Promise<RemoteModel> {
    const { clock, transport } = this.#parts;
    const late = new AbortController();
    const patience = patienceWith(peer);
    const timer = clock.after(patience.firstWordMs, () =>
      late.abort(
        new UnavailableError("peer_lost", `Node ${peer.nodeId} can't be reached in time`),
      ));
    try {
      const opening = { purpose: LEASE_PURPOSE, ...openingOf(request, clock.nowMs()) };
      const either = AbortSignal.any([signal, late.signal]);
      const stream = await openPurpose(transport, { peer, opening }, either);
      return new RemoteModel(stream, { clock, patience, isIrreplaceable: !peer.isReplaceable });
    } finally {
      timer.cancel();
    }
  }

  #remember(peer: RemotePeer, model: RemoteModel): () => void {
    const { nodeId } = peer;
    const models = this.#open.get(nodeId) ?? new Map<RemoteModel, RemotePeer>();
    models.set(model, peer);
    this.#open.set(nodeId, models);
    return () => {
      models.delete(model);
      if (models.size === 0 && this.#open.get(nodeId) === models) this.#open.delete(nodeId);
    };
  }
}

function openingOf(request: LeaseRequest, nowMs: number): LeaseOpening {
  const { requestId, standing, wanted, split, account, answerTokensMax = Infinity } = request;
  const { name, manifestDigest, load, keepAliveMs } = wanted;
  const { label, traceparent, answer } = request;
  return {
    version: LEASE_VERSION,
    requestId,
    ...(label === undefined ? {} : { label }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(answer === undefined ? {} : { answer }),
    name,
    manifestDigest,
    load,
    standing,
    ...(keepAliveMs === undefined ? {} : { keepAliveMs }),
    ...(split === undefined ? {} : { split }),
    ...(account === undefined ? {} : { account: accountOf(account, nowMs) }),
    ...(Number.isFinite(answerTokensMax) ? { answerTokensMax } : {}),
    promptTokens: Math.round(request.promptTokens),
  };
}

function accountOf(
  { tenant, priority, deadlineAtMs }: RequestAccount,
  nowMs: number,
): NonNullable<LeaseOpening["account"]> {
  const isUrgent = Number.isFinite(deadlineAtMs);
  return { tenant, priority, ...(isUrgent ? { leftMs: deadlineAtMs - nowMs } : {}) };
}

function tooMany(peer: RemotePeer): UnavailableError {
  return new UnavailableError(
    "queue_full",
    `${LEASES_PER_PEER_MAX} requests are at node ${peer.nodeId} already`,
    { retryAfterMs: 1000 },
  );
}
