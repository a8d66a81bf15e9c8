import type { NodeId } from "../../base/mod.ts";
import { sampleCandidates } from "./sampling.ts";

/** What decides where one request goes. */
export interface RouteRequest {
  /** Prompt tokens, estimated where nobody has counted them; >= 0. */
  readonly promptTokens: number;
  /** Memory that loading the model takes; bytes. */
  readonly memoryBytes: number;
  /** Of an exact answer that goes on: copies of another class would write other words. */
  readonly numericClass?: string;
  /** Nodes under which this request was lost before: taken only when there is no other. */
  readonly avoid: readonly NodeId[];
  /** Nodes that refused this very attempt, with what they said: not asked again. */
  readonly refused: readonly { readonly nodeId: NodeId; readonly reason: string }[];
  /**
   * Puts equals in an order of its own, any integer: else all who heard the same of them would send to the same one until it
   * tells otherwise. Absent = by node id.
   */
  readonly draw?: number;
}

/** A node that holds the model's blobs. */
export interface RouteCandidate {
  readonly nodeId: NodeId;
  /** For people; "" shows the id. */
  readonly name: string;
  readonly isSelf: boolean;
  /** `asleep`: on purpose; {@link wakeMs} tells when it could be there. */
  readonly health: "alive" | "suspect" | "down" | "asleep";
  /** Of a node that is asleep: until it has been woken, as measured before; undefined = nobody can wake it. Milliseconds. */
  readonly wakeMs?: number | undefined;
  readonly drained: boolean;
  /** Undefined = nothing was heard of it. */
  readonly load: CandidateLoad | undefined;
  /** Requests that were sent there from here after the load was reported: what it says can't count them yet. */
  readonly sentSinceReport: number;
  /** In which class its loaded copy is exact; undefined = in none, or none is loaded. */
  readonly numericClass?: string | undefined;
  /** Leading tokens of the prompt that the node is believed to have computed already. */
  readonly residentTokens: number;
  /** What another node has beyond them, where it comes sooner than it is computed; absent = nothing. */
  readonly move?: RouteMove | undefined;
}

/** Cells that the chosen node would fetch from another one. */
export interface RouteMove {
  /** Leading tokens that need not be computed then, beyond those that are there. */
  readonly savedTokens: number;
  /** What fetching them takes. Milliseconds. */
  readonly ms: number;
}

/** What a node last said of itself. Counts are of the model where it is loaded, else of the whole node. */
export interface CandidateLoad {
  /** Milliseconds since it was heard: it holds while the node lives, but for the requests that were sent there since. */
  readonly ageMs: number;
  readonly state: "loaded" | "loading" | "cold";
  /** Sequences that the loaded model decodes together. */
  readonly slots: number;
  readonly freeSlots: number;
  readonly waitingRequests: number;
  /** On the whole node: all of them share its cores. */
  readonly runningRequests: number;
  /** Of one sequence alone; 0 = not measured. Per minute, because slow CPUs make few. */
  readonly decodeTokensPerMinute: number;
  /** 0 = not measured. */
  readonly prefillTokensPerMinute: number;
  /** What loading the model took there last; 0, or absent = not measured. Milliseconds. */
  readonly loadMs?: number;
  /** Memory a new process could take. */
  readonly availableBytes: number;
}

/** Why a candidate ranks behind others whatever its score. Later ones are worse. */
export type RouteRank = "sound" | "lost_before" | "other_class" | "drained" | "suspect";

/** A candidate with its score and what it is made of, in milliseconds. */
export interface ScoredRoute {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly isSelf: boolean;
  readonly rank: RouteRank;
  /** Expected time to the first token. */
  readonly expectedMs: number;
  /** Above 0: it sleeps, and is to be woken. */
  readonly wakeMs: number;
  readonly hopMs: number;
  readonly queueMs: number;
  readonly loadMs: number;
  /** Above 0: the beginning of the prompt is fetched from another node. */
  readonly moveMs: number;
  /** What is neither there nor fetched. */
  readonly prefillMs: number;
  /** A usual answer from its first token on, by a speed that is rounded down to a power of two: equals stay equals. */
  readonly answerMs: number;
}

/** A node that could not be chosen. */
export interface ExcludedRoute {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly reason: string;
}

/** Where a request goes and why; kept to be explained. */
export interface RouteDecision {
  readonly route: ScoredRoute | undefined;
  /** Best first. */
  readonly runnersUp: readonly ScoredRoute[];
  /** By node id. */
  readonly excluded: readonly ExcludedRoute[];
}

/** What is assumed where nothing was measured. */
export interface RouteOptions {
  /** From one node to another and back. Milliseconds, default 3. */
  readonly hopMs: number;
  /** A runner process until it reads weights. Milliseconds, default 400. */
  readonly runnerStartMs: number;
  /** Weights from disk. Bytes a millisecond, default 500,000. */
  readonly loadBytesPerMs: number;
  /** What making room takes, as idle models have to end first. Milliseconds, default 1,000. */
  readonly evictionMs: number;
  /** Tokens of a usual answer, which must end before a slot is free. Default 200. */
  readonly answerTokens: number;
  /** Default 1,200. */
  readonly decodeTokensPerMinute: number;
  /** Default 12,000. */
  readonly prefillTokensPerMinute: number;
  /** What an unknown load costs, so that a known one of equal speed is preferred. Milliseconds, default 500. */
  readonly unknownLoadMs: number;
}

/** Assumptions for machines without a GPU; each matters only until the node's own measurements arrive. */
export const ROUTE_OPTIONS: RouteOptions = {
  hopMs: 3,
  runnerStartMs: 400,
  loadBytesPerMs: 500_000,
  evictionMs: 1_000,
  answerTokens: 200,
  decodeTokensPerMinute: 1_200,
  prefillTokensPerMinute: 12_000,
  unknownLoadMs: 500,
};

/** No expectation is longer: beyond, all are equally hopeless. Milliseconds. */
const EXPECTED_MS_MAX = 24 * 3600 * 1000;

const RANKS: readonly RouteRank[] = [
  "sound",
  "lost_before",
  "other_class",
  "drained",
  "suspect",
];

/**
 * Chooses the node that is expected to have written a usual answer soonest; ties go by the request's draw. A node that is
 * suspected, drained or lost the request before comes behind every sound one, but is taken where no sound one holds the
 * model: an answer that may fail is better than one that surely does. A node that is down is never chosen. Being here
 * counts only through the hop that it saves. Of very many candidates a sample is looked at.
 */
export function chooseRoute(
  request: RouteRequest,
  candidates: readonly RouteCandidate[],
  options: RouteOptions = ROUTE_OPTIONS,
): RouteDecision {
  const routes: ScoredRoute[] = [];
  const excluded: ExcludedRoute[] = [];
  const asleepLoad = loadAsleep(request, candidates, options);
  for (const candidate of sampleCandidates(request, candidates)) {
    const reason = exclusionOf(request, candidate);
    const { nodeId, name, health } = candidate;
    const load = health === "asleep" ? asleepLoad : candidate.load;
    if (reason === undefined) routes.push(scoreRoute(request, { ...candidate, load }, options));
    else excluded.push({ nodeId, name, reason });
  }
  const [route, ...runnersUp] = routes.sort((a, b) => compareRoutes(a, b, request.draw));
  return { route, runnersUp, excluded: excluded.sort(compareIds) };
}

function exclusionOf(request: RouteRequest, candidate: RouteCandidate): string | undefined {
  if (candidate.health === "down") return "down";
  if (candidate.health === "asleep" && candidate.wakeMs === undefined) {
    return "asleep, and nobody can wake it";
  }
  return request.refused.find(({ nodeId }) => nodeId === candidate.nodeId)?.reason;
}

/**
 * What is assumed of a node that sleeps: it waits for nobody and has nothing loaded, but is no faster than the slowest that
 * is awake. Else those that were measured to be slower than an assumption would be passed over for a guess.
 */
function loadAsleep(
  request: RouteRequest,
  candidates: readonly RouteCandidate[],
  options: RouteOptions,
): CandidateLoad {
  const awake = candidates.flatMap(({ health, load }) =>
    health === "asleep" || health === "down" || load === undefined ? [] : [load]
  );
  const slowest = (speed: "decodeTokensPerMinute" | "prefillTokensPerMinute") =>
    Math.min(...[options, ...awake].map((it) => whole(it[speed]) || options[speed]));
  return {
    ...{ ageMs: 0, state: "cold", slots: 0, freeSlots: 0, waitingRequests: 0, runningRequests: 0 },
    decodeTokensPerMinute: slowest("decodeTokensPerMinute"),
    prefillTokensPerMinute: slowest("prefillTokensPerMinute"),
    loadMs: Math.max(
      loadOf(request, undefined, options),
      ...awake.map(({ loadMs }) => whole(loadMs ?? 0)),
    ),
    availableBytes: Number.MAX_SAFE_INTEGER,
  };
}

function rankOf(request: RouteRequest, candidate: RouteCandidate): RouteRank {
  if (candidate.health === "suspect") return "suspect";
  if (candidate.drained) return "drained";
  const { numericClass } = request;
  // Where a runner died, another one still writes the same words.
  if (numericClass !== undefined && candidate.numericClass !== numericClass) return "other_class";
  return request.avoid.includes(candidate.nodeId) ? "lost_before" : "sound";
}

function scoreRoute(
  request: RouteRequest,
  candidate: RouteCandidate,
  options: RouteOptions,
): ScoredRoute {
  const { nodeId, name, isSelf, health, load } = candidate;
  const isAsleep = health === "asleep";
  const wakeMs = isAsleep ? Math.max(1, whole(candidate.wakeMs ?? 0)) : 0;
  const hopMs = isSelf ? 0 : options.hopMs;
  const queueMs = isAsleep
    ? 0
    : load === undefined
    ? options.unknownLoadMs
    : queueOf(candidate, load, options);
  const loadMs = loadOf(request, load, options);
  const { moveMs, prefillMs } = readingOf(request, candidate, { load, options });
  const expectedMs = bounded(wakeMs + hopMs + queueMs + loadMs + moveMs + prefillMs);
  const rank = rankOf(request, candidate);
  const answerMs = answerOf(load, options);
  return {
    ...{ nodeId, name, isSelf, rank, expectedMs },
    ...{ wakeMs, hopMs, queueMs, loadMs, moveMs, prefillMs, answerMs },
  };
}

function answerOf(load: CandidateLoad | undefined, options: RouteOptions): number {
  const speed = whole(load?.decodeTokensPerMinute ?? 0) || options.decodeTokensPerMinute;
  return Math.ceil((options.answerTokens * 60_000) / 2 ** Math.floor(Math.log2(speed)));
}

/** Answers that must end before this request has a slot, each taking its share of the slots. */
function queueOf(candidate: RouteCandidate, load: CandidateLoad, options: RouteOptions): number {
  const sent = whole(candidate.sentSinceReport);
  // A cold model's slots are all its own; who waits on its node waits for memory, and so will this request.
  const free = load.state === "loaded" ? whole(load.freeSlots) : 1;
  const ahead = whole(load.waitingRequests) + sent + 1 - free;
  if (ahead <= 0) return 0;
  const speed = whole(load.decodeTokensPerMinute) || options.decodeTokensPerMinute;
  const answerMs = Math.ceil((options.answerTokens * 60_000) / speed);
  return bounded(Math.ceil((ahead * answerMs) / Math.max(1, whole(load.slots))));
}

function loadOf(
  request: RouteRequest,
  load: CandidateLoad | undefined,
  options: RouteOptions,
): number {
  if (load?.state === "loaded") return 0;
  const bytes = whole(request.memoryBytes);
  const wholeMs = whole(load?.loadMs ?? 0) ||
    options.runnerStartMs + Math.ceil(bytes / options.loadBytesPerMs);
  // How far it has come is not known: half of it is left on average.
  if (load?.state === "loading") return bounded(Math.ceil(wholeMs / 2));
  const isTight = load !== undefined && whole(load.availableBytes) < bytes;
  return bounded(wholeMs + (isTight ? options.evictionMs : 0));
}

/** The prompt's computation, with what is fetched of it where that is sooner. */
function readingOf(
  request: RouteRequest,
  candidate: RouteCandidate,
  known: { readonly load: CandidateLoad | undefined; readonly options: RouteOptions },
): Pick<ScoredRoute, "moveMs" | "prefillMs"> {
  const tokens = Math.max(0, whole(request.promptTokens) - whole(candidate.residentTokens));
  const alone = { moveMs: 0, prefillMs: prefillOf(tokens, candidate, known) };
  const { move } = candidate;
  if (move === undefined) return alone;
  const left = Math.max(0, tokens - whole(move.savedTokens));
  const moveMs = bounded(Number.isFinite(move.ms) ? Math.max(1, Math.ceil(move.ms)) : Infinity);
  const prefillMs = prefillOf(left, candidate, known);
  return moveMs + prefillMs < alone.prefillMs ? { moveMs, prefillMs } : alone;
}

/** Slowed by what else runs on the node's cores. */
function prefillOf(
  tokens: number,
  candidate: RouteCandidate,
  known: { readonly load: CandidateLoad | undefined; readonly options: RouteOptions },
): number {
  const { load, options } = known;
  const speed = whole(load?.prefillTokensPerMinute ?? 0) || options.prefillTokensPerMinute;
  const sharing = 1 + whole(load?.runningRequests ?? 0) + whole(candidate.sentSinceReport);
  return bounded(Math.ceil((tokens * 60_000 * sharing) / speed));
}

function compareRoutes(a: ScoredRoute, b: ScoredRoute, draw: number | undefined): number {
  return RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank) ||
    (a.expectedMs + a.answerMs) - (b.expectedMs + b.answerMs) ||
    (draw === undefined ? 0 : drawOf(draw, a.nodeId) - drawOf(draw, b.nodeId)) ||
    compareIds(a, b);
}

/** A number that is as good as drawn for this node. */
function drawOf(draw: number, nodeId: NodeId): number {
  let hash = draw | 0;
  for (let at = 0; at < nodeId.length; at++) {
    hash = Math.imul(hash ^ nodeId.charCodeAt(at), 0x01000193);
    hash ^= hash >>> 15;
  }
  // Each bit of the last character counts for all of the number.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function compareIds(a: { readonly nodeId: NodeId }, b: { readonly nodeId: NodeId }): number {
  return a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0;
}

/** Reports come from other nodes: what makes no sense counts as nothing. */
function whole(value: number): number {
  return Number.isFinite(value) && value > 0 ? Math.floor(value) : 0;
}

function bounded(ms: number): number {
  return Math.min(ms, EXPECTED_MS_MAX);
}
