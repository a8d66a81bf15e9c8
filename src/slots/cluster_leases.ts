import {
  assert,
  BoundedMap,
  type EdgeError,
  errorMessage,
  isEdgeError,
  LineLimiter,
  type NodeId,
  pause,
  RequestError,
  requestIdsOf,
  UnavailableError,
} from "../base/mod.ts";
import {
  PeerBeliefs,
  type PromptTrace,
  type SearchFact,
  type SearchOrder,
  sketchedChars,
  SlotSearch,
  type TracedPrompt,
  traceOf,
  withMoves,
} from "../core/answers/mod.ts";
import {
  type CandidateLoad,
  kvTokenBytes,
  type RouteCandidate,
  type RouteDecision,
  type SchedulerView,
} from "../core/scheduler/mod.ts";
import type { Holder } from "../library/mod.ts";
import type { LoadedFacts, ModelSpeed } from "../protocol/mod.ts";
import type {
  Clock,
  LoadedModel,
  Log,
  Metrics,
  SplitExplanation,
  WakeExplanation,
} from "../ports/mod.ts";
import type { LeaseRequest, LeaseSource, UnloadTarget } from "./lease.ts";
import { startSpan, traceLoad } from "../telemetry/mod.ts";
import { toldClass } from "./own_load.ts";
import type { RemoteLeases } from "./remote_leases.ts";
import type { RouteJournal, Settle } from "./route_journal.ts";
import type { Lease, SchedulerDriver, ServingNode } from "./scheduler_driver.ts";

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
  /** This node computes an answer from now on: what others asked for it here is over. */
  readonly supersede: (answer: string) => void;
  /** Wakes machines that sleep; absent = nobody does. */
  readonly waking?: Waking;
  /** How fast cells come from one node to another, as this one measured it; absent = they don't. */
  readonly moves?: { readonly bytesPerMs: number | undefined } | undefined;
  readonly journal: RouteJournal;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What a search for a slot needs of those that wake machines. */
export interface Waking {
  /** As `WakeDriver.wake`. */
  wake(nodeId: NodeId): Promise<number>;
  /** What the last wake of a machine took, where it was over a moment ago. Milliseconds. */
  wokenLately(nodeId: NodeId): number | undefined;
}

/** How often a request that waits for a machine to wake looks whether another one is sooner by now. Milliseconds. */
const WAKE_LOOK_MS = 250;

/** Models whose class is remembered. */
const OWN_CLASSES_MAX = 256;

/** A wake that a request waits for. */
interface AwaitedWake {
  readonly nodeId: NodeId;
  readonly position: number;
  /** Ends with the wake, however that ends. */
  readonly ended: Promise<void>;
  readonly settle: Settle;
  tookMs: number | undefined;
  error: unknown;
}

const NO_MARKS: ReadonlySet<number> = new Set();

/** One node's broken words make one line in this time; the metric counts each. */
const BROKEN_LINE_MS = 1_000;

type AskOrder = Extract<SearchOrder, { kind: "ask" }>;
type GiveUpOrder = Extract<SearchOrder, { kind: "give_up" }>;

/** Slots of the whole cluster: each request goes where its first token is expected soonest. */
export class ClusterLeases implements LeaseSource {
  readonly #parts: ClusterLeasesParts;
  readonly #beliefs = new PeerBeliefs();
  /** How many requests wait for each machine that wakes. */
  readonly #waiting = new Map<NodeId, number>();
  /** By the key of a model, in which class this node's last copy was exact: a new one is computed in the same way. */
  readonly #ownClasses = new BoundedMap<string, string | undefined>(OWN_CLASSES_MAX);
  readonly #brokenLines = new LineLimiter(BROKEN_LINE_MS);

  constructor(parts: ClusterLeasesParts) {
    this.#parts = parts;
  }

  /** @throws as {@link LeaseSource.acquire}; UnavailableError `node_unreachable` when no holder answers. */
  async acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    const { shard } = request.wanted.load;
    if (shard !== undefined) return await this.#search({ ...request, split: shard }, signal);
    try {
      return await this.#search(request, signal);
    } catch (error) {
      // No node holds it whole: only then is it worth what a split costs.
      if (!isTooLarge(error)) throw error;
      return await this.#search({ ...request, split: "if_too_large" }, signal)
        .catch((second) => {
          throw isTooLarge(second) ? tooLargeSplit(error, second) : second;
        });
    }
  }

  async #search(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    const { promptTokens, need, avoid } = request;
    const { numericClass } = request;
    const search = new SlotSearch({
      ...{ promptTokens, memoryBytes: need.memoryBytes, avoid, draw: drawOf(request) },
      mayBeSplit: request.split === undefined,
      ...(numericClass === undefined ? {} : { numericClass: toldClass(numericClass) }),
    });
    const refusals: EdgeError[] = [];
    let awaited: AwaitedWake | undefined;
    for (;;) {
      signal.throwIfAborted();
      const holders = this.#parts.holders(request.wanted.manifestDigest);
      // Alone there is nothing to choose from, so that a long prompt need not be looked at.
      const trace = holders.length === 0 ? [] : traceOf(request.promptText);
      const prompt = { model: request.wanted.manifestDigest, trace };
      const candidates = this.#candidates(request, holders, prompt);
      const order = search.step({ kind: "candidates_known", candidates });
      if (order.kind === "give_up") {
        this.#record(request, order.decision)("given_up");
        throw giveUp(order, refusals, request);
      }
      assert(order.kind === "ask", "A search that goes on asks a node", { order: order.kind });
      if (order.route.wakeMs > 0) {
        awaited = await this.#awaitWake(awaited, { request, order, signal });
        const { error } = awaited;
        if (error === undefined) {
          search.step({ kind: "put_off" });
          continue;
        }
        awaited = undefined;
        if (search.step(refusalFact(error, signal)).kind === "pass_on") throw error;
        if (isEdgeError(error)) refusals.push(error);
        continue;
      }
      if (awaited !== undefined) {
        awaited.settle(
          awaited.nodeId === order.route.nodeId ? "woken" : "overtaken",
          { wake: awaited },
        );
      }
      const settle = this.#record(request, order.decision);
      try {
        const lease = await this.#acquireAt(order, { request, holders }, signal);
        if (request.hasImages === true) requireEyes(lease);
        let known: NonNullable<Parameters<typeof settle>[1]> = {
          wake: this.#wakeOf(order.route.nodeId, awaited),
          exact: lease.model.facts.exactness?.isExact,
          split: splitOf(request, lease.model),
        };
        settle("granted", known);
        search.step({ kind: "granted" });
        const note = (more: typeof known) => settle("granted", known = { ...known, ...more });
        const noteReuse: Lease["noteReuse"] = (reuse) => note({ reuse });
        const noteDrafts: Lease["noteDrafts"] = (drafts) => note({ drafts });
        const { nodeId } = order.route;
        const cellsAt = this.#beliefs.keepers(nodeId, { prompt, avoid, candidates });
        this.#beliefs.noteComputed(nodeId, prompt);
        return { ...lease, noteReuse, noteDrafts, ...cellsAt.length > 0 && { cellsAt } };
      } catch (error) {
        settle(isEdgeError(error) ? error.code : "cancelled");
        if (search.step(refusalFact(error, signal)).kind === "pass_on") throw error;
        if (isEdgeError(error)) refusals.push(error);
      }
    }
  }

  /** Waits for a machine to wake, a moment at a time; `awaited` is what this request waits for already. */
  async #awaitWake(
    awaited: AwaitedWake | undefined,
    by: {
      readonly request: LeaseRequest;
      readonly order: AskOrder;
      readonly signal: AbortSignal;
    },
  ): Promise<AwaitedWake> {
    const { request, order, signal } = by;
    const { nodeId } = order.route;
    const wake = awaited?.nodeId === nodeId ? awaited : this.#beginWake(nodeId, { request, order });
    if (awaited !== wake) awaited?.settle("overtaken", { wake: awaited });
    const { clock } = this.#parts;
    const gone = Promise.withResolvers<void>();
    const leave = () => gone.resolve();
    signal.addEventListener("abort", leave, { once: true });
    const timer = clock.after(WAKE_LOOK_MS, leave);
    try {
      await Promise.race([wake.ended, gone.promise]);
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
    }
    if (signal.aborted) wake.settle("cancelled", { wake });
    signal.throwIfAborted();
    if (wake.error !== undefined) {
      wake.settle(isEdgeError(wake.error) ? wake.error.code : "cancelled", { wake });
    }
    // Gossip tells of it a moment later than of the wake itself.
    if (wake.tookMs !== undefined) await pause(clock, WAKE_LOOK_MS);
    return wake;
  }

  #beginWake(
    nodeId: NodeId,
    by: { readonly request: LeaseRequest; readonly order: AskOrder },
  ): AwaitedWake {
    const { waking } = this.#parts;
    assert(waking !== undefined, "Who sleeps is a candidate only where it can be woken");
    const position = (this.#waiting.get(nodeId) ?? 0) + 1;
    this.#waiting.set(nodeId, position);
    const settle = this.#record(by.request, by.order.decision);
    const ended = waking.wake(nodeId).then(
      (tookMs) => void (wake.tookMs = tookMs),
      (error) => void (wake.error = error),
    ).finally(() => this.#waiting.delete(nodeId));
    const wake: AwaitedWake = {
      ...{ nodeId, position, ended, settle },
      tookMs: undefined,
      error: undefined,
    };
    settle("pending", { wake });
    return wake;
  }

  /** What the chosen node's wake took, whether this request waited for it here or for what the model is. */
  #wakeOf(nodeId: NodeId, awaited: AwaitedWake | undefined): WakeExplanation | undefined {
    if (awaited?.nodeId === nodeId) return awaited;
    const tookMs = this.#parts.waking?.wokenLately(nodeId);
    return tookMs === undefined ? undefined : { position: 1, tookMs };
  }

  requestUnload(model: UnloadTarget): void {
    const { driver, holders, unloadAt } = this.#parts;
    driver.requestUnload(model);
    for (const holder of holders(model.manifestDigest)) {
      if (holder.health !== "down" && holder.health !== "asleep") unloadAt(holder, model);
    }
  }

  /** Keeps a decision; call what is returned when its outcome is known. */
  #record(
    request: LeaseRequest,
    decision: RouteDecision,
  ): Settle {
    const { journal, clock } = this.#parts;
    const { promptTokens, requestId, standing, label, wanted } = request;
    const atMs = clock.nowMs();
    return journal.record({
      ...{ label, requestId, atMs, standing, promptTokens, decision },
      model: wanted.name,
    });
  }

  #candidates(
    request: LeaseRequest,
    holders: readonly Holder[],
    prompt: TracedPrompt,
  ): readonly RouteCandidate[] {
    const { clock, ownFigures } = this.#parts;
    const nowMs = clock.monotonicMs();
    const { trace } = prompt;
    const own = this.#ownCandidate(request).map((candidate) => {
      const chars = ownFigures().computedChars(request.need.modelKey, trace);
      return this.#beliefs.withResident(candidate, prompt, chars);
    });
    const others = holders.map((holder) => {
      const chars = sketchedChars(trace, holder.prefixMarks ?? NO_MARKS);
      return this.#beliefs.withResident(this.#beliefs.candidate(holder, nowMs), prompt, chars);
    });
    const shape = request.need.placing?.shape;
    const bytesPerMs = this.#parts.moves?.bytesPerMs;
    if (shape === undefined || bytesPerMs === undefined) return [...own, ...others];
    return withMoves([...own, ...others], { tokenBytes: kvTokenBytes(shape), bytesPerMs });
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
      numericClass: this.#ownClasses.get(request.need.modelKey),
      sentSinceReport: 0,
      residentTokens: 0,
    }];
  }

  async #acquireAt(
    order: AskOrder,
    asked: { readonly request: LeaseRequest; readonly holders: readonly Holder[] },
    signal: AbortSignal,
  ): Promise<Lease> {
    const { self } = this.#parts;
    const { route } = order;
    const { traceparent: under, standing, label, requestId } = asked.request;
    const span = startSpan("odist.lease", {
      under,
      attributes: {
        "odist.entry": self.name,
        "odist.node": route.name,
        "odist.standing": standing,
        "odist.request_id": label ?? requestId,
        "odist.expected_ms": route.expectedMs,
      },
    });
    const request = { ...asked.request, traceparent: span.traceparent };
    try {
      const lease = await this.#leaseAt(order, { ...asked, request }, signal);
      if (route.isSelf) traceLoad(lease.loadNs, { under: span.traceparent, node: self.name });
      span.end();
      return lease;
    } catch (error) {
      span.end(isEdgeError(error) ? error.code : "cancelled");
      throw error;
    }
  }

  async #leaseAt(
    { route, isReplaceable }: AskOrder,
    asked: { readonly request: LeaseRequest; readonly holders: readonly Holder[] },
    signal: AbortSignal,
  ): Promise<Lease> {
    const { driver, remote, self, clock, log, metrics } = this.#parts;
    if (route.isSelf) {
      const { answer } = asked.request;
      if (answer !== undefined) this.#parts.supersede(answer);
      const lease = await driver.acquire(asked.request, signal);
      metrics.increment("odist_slots_granted_total", { where: "here" });
      const { exactness, numericClass } = lease.model.facts;
      const told = exactness?.isExact === true ? toldClass(numericClass) : undefined;
      this.#ownClasses.set(asked.request.need.modelKey, told);
      return { ...lease, servedBy: self };
    }
    const peer = asked.holders.find(({ nodeId }) => nodeId === route.nodeId);
    if (peer === undefined) throw new UnavailableError("peer_lost", "The node is gone");
    const { nodeId } = peer;
    const forget = this.#beliefs.noteSent(nodeId, clock.monotonicMs());
    try {
      const couldGoOnElsewhere = (facts: LoadedFacts | undefined) =>
        this.#couldGoOn(asked.request, { facts, besides: nodeId });
      const patient = { ...peer, isReplaceable, couldGoOnElsewhere };
      const lease = await remote.acquire(patient, asked.request, signal);
      metrics.increment("odist_slots_granted_total", { where: "elsewhere" });
      this.#beliefs.trust(nodeId);
      void lease.model.exited.then(({ expected }) => {
        forget();
        if (!expected) this.#beliefs.doubt(nodeId, clock.monotonicMs());
      });
      return lease;
    } catch (error) {
      forget();
      if (isEdgeError(error) && error.code === "peer_lost") {
        this.#beliefs.doubt(nodeId, clock.monotonicMs());
      }
      const { wanted, split } = asked.request;
      // Over several nodes it may be another one's fault.
      const isWordOf = isEdgeError(error) && BROKEN_WORDS.has(error.code) &&
        (split === undefined || error.code !== "load_failed");
      if (isWordOf) {
        this.#noteBrokenWord(nodeId, { model: wanted.name, reason: error.code });
      }
      const seen = { ...requestIdsOf(asked.request), node: nodeId };
      log.log("debug", "lease_failed", { ...seen, reason: errorMessage(error) });
      throw error;
    }
  }

  /** Whether anybody who lives could go on with a request, in the same words where they are exact. */
  #couldGoOn(
    request: LeaseRequest,
    of: { readonly facts: LoadedFacts | undefined; readonly besides: NodeId },
  ): boolean {
    const { facts, besides } = of;
    const wanted = facts?.exactness?.isExact === true ? toldClass(facts.numericClass) : undefined;
    const { manifestDigest } = request.wanted;
    const holders = this.#parts.holders(manifestDigest);
    return this.#candidates(request, holders, { model: manifestDigest, trace: [] }).some((it) =>
      it.nodeId !== besides && it.health === "alive" &&
      (wanted === undefined || it.numericClass === wanted)
    );
  }

  #noteBrokenWord(
    peer: NodeId,
    about: { readonly model: string; readonly reason: string },
  ): void {
    const { clock, log, metrics } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#beliefs.doubtWord(peer, nowMs);
    metrics.increment("odist_broken_words_total", { peer, reason: about.reason });
    const unsaid = this.#brokenLines.claim(peer, nowMs);
    if (unsaid !== undefined) log.log("warn", "word_broken", { peer, ...about, count: 1 + unsaid });
  }
}

/** What only a node says that does not hold what it told the others, or can't do anything with it. */
const BROKEN_WORDS: ReadonlySet<EdgeError["code"]> = new Set<EdgeError["code"]>([
  "model_not_found",
  "load_failed",
]);

/** Gives a slot back that is of no use to a request with images. @throws RequestError `unsupported_capability`. */
function requireEyes(lease: Lease): void {
  const { imageFault = "its node knows of no images" } = lease.model.facts;
  if (imageFault === "") return;
  lease.release();
  throw new RequestError(
    "unsupported_capability",
    `the model can't be shown images: ${imageFault}`,
  );
}

/** The same for all that is tried for one request, so that its search goes on among the same nodes. */
function drawOf({ requestId }: LeaseRequest): number {
  let draw = 0;
  for (let at = 0; at < requestId.length; at++) {
    draw = Math.imul(draw, 31) + requestId.charCodeAt(at) | 0;
  }
  return draw;
}

function refusalFact(error: unknown, signal: AbortSignal): SearchFact {
  const isForeseen = isEdgeError(error) && !signal.aborted;
  return { kind: "refused", code: isForeseen ? error.code : undefined };
}

/** `refusals` in the order of asking. */
function giveUp(
  order: GiveUpOrder,
  refusals: readonly EdgeError[],
  request: LeaseRequest,
): EdgeError {
  const told = order.told === undefined ? undefined : refusals[order.told];
  assert(order.told === undefined || told !== undefined, "What is told was said by a node", {
    told: order.told,
    refusals: refusals.length,
  });
  if (told === undefined) {
    return new UnavailableError(
      "node_unreachable",
      `no node that holds the model "${request.wanted.name}" can be reached`,
      { retryAfterMs: 5_000 },
    );
  }
  if (!order.isUnreachable) return told;
  return new UnavailableError(
    "node_unreachable",
    `no node that holds the model can be reached: ${told.message}`,
    { cause: told, retryAfterMs: 5_000 },
  );
}

function isTooLarge(error: unknown): error is EdgeError {
  return isEdgeError(error) && error.code === "model_too_large";
}

function tooLargeSplit(whole: EdgeError, split: EdgeError): EdgeError {
  return new RequestError("model_too_large", `${whole.message}; ${split.message}`);
}

/** Why it is computed by several nodes, and what that costs; undefined = it isn't, or elsewhere. */
function splitOf({ split }: LeaseRequest, model: LoadedModel): SplitExplanation | undefined {
  if (model.split === undefined) return undefined;
  return { why: split === "always" ? "asked" : "too_large", ...model.split };
}

/** What this node knows of itself beyond its scheduler's view. */
export interface OwnFigures {
  readonly availableBytes: number;
  /** 0 = not measured. */
  readonly decodeTokensPerMinute: number;
  readonly prefillTokensPerMinute: number;
  /** Of one model, by its key. */
  readonly speedOf: (modelKey: string) => Omit<ModelSpeed, "manifest">;
  /** Characters at the front of a prompt that were computed here, by the model's key. */
  readonly computedChars: (modelKey: string, trace: PromptTrace) => number;
}

/** How busy this node is for one model, now. */
export function loadFromView(
  view: SchedulerView,
  modelKey: string,
  own: Omit<OwnFigures, "computedChars">,
): CandidateLoad {
  const instance = view.instances.find((row) => row.modelKey === modelKey);
  const state = instance?.state ?? "unloading";
  const speed = own.speedOf(modelKey);
  return {
    ageMs: 0,
    state: state === "ready" ? "loaded" : state === "loading" ? "loading" : "cold",
    slots: instance?.slots ?? 0,
    freeSlots: instance === undefined ? 0 : Math.max(0, instance.slots - instance.running),
    waitingRequests: view.waiting,
    runningRequests: view.running,
    availableBytes: own.availableBytes,
    decodeTokensPerMinute: speed.decodeTokensPerMinute || own.decodeTokensPerMinute,
    prefillTokensPerMinute: speed.prefillTokensPerMinute || own.prefillTokensPerMinute,
    loadMs: speed.loadMs,
  };
}
