import {
  type EdgeError,
  type ErrorCode,
  errorMessage,
  isEdgeError,
  type NodeId,
  UnavailableError,
} from "../base/mod.ts";
import {
  chooseRoute,
  PrefixMemory,
  type PromptTrace,
  type RouteCandidate,
  type RouteDecision,
  type RouteRequest,
  type ScoredRoute,
  traceOf,
} from "../core/scheduler/mod.ts";
import type { Clock, Log } from "../ports/mod.ts";
import type { Lease, SchedulerDriver, ServingNode } from "./scheduler_driver.ts";
import type { Holder } from "../library/mod.ts";
import { loadFromView, type OwnFigures } from "./own_candidate.ts";
import {
  CHARS_PER_TOKEN,
  type LeaseRequest,
  type LeaseSource,
  type UnloadTarget,
} from "./lease.ts";
import type { RemoteLeases } from "./remote_leases.ts";
import type { RouteJournal } from "./route_journal.ts";

/** Nodes that one attempt at a slot asks. */
const ATTEMPTS_MAX = 8;
/** A node that was lost here counts as suspected for so long, since gossip needs about that to tell. Milliseconds. */
const DOUBT_MS = 5_000;

/** Refusals that another node may not share. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "queue_full",
  "stopping",
  "model_too_large",
  "model_not_found",
  "load_failed",
  "load_timeout",
  "peer_lost",
  "node_unreachable",
  "runner_lost",
  "peer_refused",
  "malformed_frame",
  "unknown_version",
  "disk_full",
  "corrupt_file",
  "storage_failed",
]);

/** What leasing in a cluster takes. */
export interface ClusterLeasesParts {
  readonly driver: Pick<SchedulerDriver, "acquire" | "requestUnload" | "view">;
  readonly remote: Pick<RemoteLeases, "acquire">;
  readonly self: ServingNode;
  readonly isDrained: () => boolean;
  readonly ownFigures: () => OwnFigures;
  /** Other members that hold a manifest's blobs. Asked for every request, so it must not wait for anything. */
  readonly holders: (manifestDigest: string) => readonly Holder[];
  /** Tells another node to unload; never throws. */
  readonly unloadAt: (holder: Holder, model: UnloadTarget) => void;
  readonly journal: RouteJournal;
  readonly clock: Clock;
  readonly log: Log;
}

/** Slots of the whole cluster: each request goes where its first token is expected soonest. */
export class ClusterLeases implements LeaseSource {
  readonly #parts: ClusterLeasesParts;
  /** Requests sent to a node and not given back, by when they were sent: its next report will count them. */
  readonly #sent = new Map<NodeId, Set<{ readonly atMs: number }>>();
  readonly #doubtedUntilMs = new Map<NodeId, number>();
  readonly #prefixes = new PrefixMemory();

  constructor(parts: ClusterLeasesParts) {
    this.#parts = parts;
  }

  /** @throws as {@link LeaseSource.acquire}; UnavailableError `node_unreachable` when no holder answers. */
  async acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    const refused: { nodeId: NodeId; reason: string; error: EdgeError }[] = [];
    for (;;) {
      signal.throwIfAborted();
      const holders = this.#parts.holders(request.wanted.manifestDigest);
      // Alone there is nothing to choose from, so that a long prompt need not be looked at.
      const trace = holders.length === 0 ? [] : traceOf(request.promptText);
      const { decision, settle } = this.#choose(request, { holders, refused, trace });
      const { route } = decision;
      if (route === undefined || refused.length >= ATTEMPTS_MAX) {
        settle("given_up");
        throw worthTelling(refused.map(({ error }) => error)) ?? nobodyHolds(request);
      }
      try {
        const isReplaceable = decision.runnersUp.some(({ rank }) => rank === "sound");
        const lease = await this.#acquireAt(route, { request, holders, isReplaceable }, signal);
        settle("granted");
        this.#prefixes.note(
          { model: request.wanted.manifestDigest, nodeId: route.nodeId },
          trace,
        );
        return lease;
      } catch (error) {
        settle(isEdgeError(error) ? error.code : "cancelled");
        if (signal.aborted || !isEdgeError(error) || !ELSEWHERE.has(error.code)) throw error;
        refused.push({ nodeId: route.nodeId, reason: error.code, error });
      }
    }
  }

  requestUnload(model: UnloadTarget): void {
    const { driver, holders, unloadAt } = this.#parts;
    driver.requestUnload(model);
    for (const holder of holders(model.manifestDigest)) {
      if (holder.health !== "down") unloadAt(holder, model);
    }
  }

  #choose(
    request: LeaseRequest,
    known: {
      readonly holders: readonly Holder[];
      readonly refused: RouteRequest["refused"];
      readonly trace: PromptTrace;
    },
  ): { readonly decision: RouteDecision; readonly settle: (outcome: string) => void } {
    const { journal, clock } = this.#parts;
    const { promptTokens, need, avoid, requestId, standing, label } = request;
    const { holders, refused, trace } = known;
    const candidates = [
      ...this.#ownCandidate(request),
      ...holders.map((holder) => this.#candidate(holder)),
    ].map((candidate) => ({
      ...candidate,
      residentTokens: this.#resident(request, candidate, trace),
    }));
    const wanted = { promptTokens, memoryBytes: need.memoryBytes, avoid, refused };
    const decision = chooseRoute(wanted, candidates);
    const settle = journal.record({
      label,
      requestId,
      atMs: clock.nowMs(),
      model: request.wanted.name,
      standing,
      promptTokens,
      decision,
    });
    return { decision, settle };
  }

  #resident(request: LeaseRequest, candidate: RouteCandidate, trace: PromptTrace): number {
    // A runner that was started since has computed nothing.
    if (candidate.load?.state !== "loaded") return 0;
    const at = { model: request.wanted.manifestDigest, nodeId: candidate.nodeId };
    return Math.floor(this.#prefixes.residentChars(at, trace) / CHARS_PER_TOKEN);
  }

  /** This node, where the model's blobs are here. */
  #ownCandidate(request: LeaseRequest): RouteCandidate[] {
    if (request.settings.modelPath === "") return [];
    const { self, driver, isDrained, ownFigures } = this.#parts;
    return [{
      ...self,
      isSelf: true,
      health: "alive",
      drained: isDrained(),
      load: loadFromView(driver.view(), request.need.modelKey, ownFigures()),
      sentSinceReport: 0,
      residentTokens: 0,
    }];
  }

  #candidate(holder: Holder): RouteCandidate {
    const { nodeId, name, drained, load } = holder;
    const nowMs = this.#parts.clock.monotonicMs();
    const reportedMs = nowMs - (load?.ageMs ?? Infinity);
    const sent = [...this.#sent.get(nodeId) ?? []].filter(({ atMs }) => atMs >= reportedMs);
    const isDoubted = (this.#doubtedUntilMs.get(nodeId) ?? -Infinity) > nowMs;
    const health = isDoubted && holder.health === "alive" ? "suspect" : holder.health;
    return {
      nodeId,
      name,
      isSelf: false,
      health,
      drained,
      load,
      sentSinceReport: sent.length,
      residentTokens: 0,
    };
  }

  async #acquireAt(
    route: ScoredRoute,
    asked: {
      readonly request: LeaseRequest;
      readonly holders: readonly Holder[];
      readonly isReplaceable: boolean;
    },
    signal: AbortSignal,
  ): Promise<Lease> {
    const { driver, remote, self } = this.#parts;
    if (route.isSelf) {
      return { ...await driver.acquire(asked.request, signal), servedBy: self };
    }
    const peer = asked.holders.find(({ nodeId }) => nodeId === route.nodeId);
    if (peer === undefined) throw new UnavailableError("peer_lost", "The node is gone");
    const forget = this.#remember(peer.nodeId);
    try {
      const { isReplaceable } = asked;
      const lease = await remote.acquire({ ...peer, isReplaceable }, asked.request, signal);
      this.#doubtedUntilMs.delete(peer.nodeId);
      void lease.model.exited.then(({ expected }) => {
        forget();
        if (!expected) this.#doubt(peer.nodeId);
      });
      return lease;
    } catch (error) {
      forget();
      if (isEdgeError(error) && error.code === "peer_lost") this.#doubt(peer.nodeId);
      this.#parts.log.log("debug", "lease_failed", {
        requestId: asked.request.requestId,
        node: peer.nodeId,
        reason: errorMessage(error),
      });
      throw error;
    }
  }

  #remember(nodeId: NodeId): () => void {
    const sent = this.#sent.get(nodeId) ?? new Set<{ readonly atMs: number }>();
    this.#sent.set(nodeId, sent);
    const entry = { atMs: this.#parts.clock.monotonicMs() };
    sent.add(entry);
    return () => {
      sent.delete(entry);
      if (sent.size === 0 && this.#sent.get(nodeId) === sent) this.#sent.delete(nodeId);
    };
  }

  #doubt(nodeId: NodeId): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#prefixes.forget(nodeId);
    // Those that ended go here, so that nodes of the past don't add up.
    for (const [doubted, untilMs] of this.#doubtedUntilMs) {
      if (untilMs <= nowMs) this.#doubtedUntilMs.delete(doubted);
    }
    this.#doubtedUntilMs.set(nodeId, nowMs + DOUBT_MS);
  }
}

/** Of what all nodes said, what helps the caller most: to come back later, then what is wrong with the model. */
function worthTelling(errors: readonly EdgeError[]): EdgeError | undefined {
  const isLost = ({ code }: EdgeError) => code === "peer_lost" || code === "runner_lost";
  return errors.find(({ code }) => code === "queue_full") ?? errors.find((it) => !isLost(it)) ??
    (errors[0] && unreachable(errors[0]));
}

function unreachable(cause: EdgeError): UnavailableError {
  return new UnavailableError(
    "node_unreachable",
    `no node that holds the model can be reached: ${cause.message}`,
    { cause, retryAfterMs: 5_000 },
  );
}

function nobodyHolds(request: LeaseRequest): UnavailableError {
  return new UnavailableError(
    "node_unreachable",
    `no node that holds the model "${request.wanted.name}" can be reached`,
    { retryAfterMs: 5_000 },
  );
}
