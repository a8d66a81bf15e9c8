import type { LoadedCopy, ModelSpeed, NodeLoad } from "../../protocol/mod.ts";

/** Changes of requests and slots are told at most this often: what is routed on may be this old. */
const BUSY_GAP_MS = 250;
/** Changes of memory and speed alone, at most this often: other programs on the machine never rest. */
const IDLE_GAP_MS = 5_000;
/** Up to so many members nodes tell of themselves as soon as it is of use. */
const TELL_MEMBERS = 32;
/** Beyond, what is no news but to the last digit waits so many times as long as what is. */
const MINOR_STRETCH = 4;
/** Memory counts as changed beyond this, and beyond a sixteenth of what was told. */
const MEMORY_STEP_BYTES = 64 * 1024 * 1024;
const MEMORY_STEP_SHARE = 16;
/** Speed counts as changed beyond an eighth of what was told. */
const SPEED_STEP_SHARE = 8;

/**
 * How many times as long as in a small cluster a node waits before it tells of itself again: each word of each member goes to
 * every other, so that a node carries the same whatever the cluster's size. 1 up to {@link TELL_MEMBERS}.
 *
 * @param weight `minor`: a change after which the same nodes have a slot free.
 */
export function tellingStretch(members: number, weight: "major" | "minor"): number {
  const stretch = Math.max(1, members / TELL_MEMBERS);
  return weight === "major" ? stretch : 1 + (stretch - 1) * MINOR_STRETCH;
}

/** What to do with a look at the load. */
export interface LoadReport {
  /** Tell this; undefined = nothing worth telling, or too soon. */
  readonly load: NodeLoad | undefined;
  /** Look again then, on the clock that was handed in; undefined = when something changes. */
  readonly nextLookMs: number | undefined;
}

/** When a node looks at itself, and among how many. */
export interface Moment {
  readonly nowMs: number;
  /** Live ones, this one included. */
  readonly members: number;
}

/**
 * Decides which changes of a node's load are told: quickly while requests come and go, and nothing at all from a node
 * that idles, because what is told is compared with what was told last and not with the last look. Remembers that.
 */
export class LoadReports {
  #told: NodeLoad | undefined;
  #toldMs = -Infinity;

  /** Takes the present load, and how many live members there are. */
  look(load: NodeLoad, { nowMs, members }: Moment): LoadReport {
    const told = this.#told;
    const gapMs = told === undefined ? 0 : gapBetween(told, load, members);
    if (gapMs === undefined) return { load: undefined, nextLookMs: undefined };
    const dueMs = this.#toldMs + gapMs;
    if (nowMs < dueMs) return { load: undefined, nextLookMs: dueMs };
    this.#told = load;
    this.#toldMs = nowMs;
    return { load, nextLookMs: undefined };
  }
}

/** How far apart these two must be told; undefined = the second is not worth telling. */
function gapBetween(told: NodeLoad, load: NodeLoad, members: number): number | undefined {
  const isBusy = told.runningRequests !== load.runningRequests ||
    told.waitingRequests !== load.waitingRequests ||
    told.slots !== load.slots || told.freeSlots !== load.freeSlots;
  const isFull = (it: NodeLoad) => it.freeSlots === 0;
  const weight = isFull(told) === isFull(load) && told.slots === load.slots ? "minor" : "major";
  if (isBusy) return BUSY_GAP_MS * tellingStretch(members, weight);
  const memoryStep = Math.max(MEMORY_STEP_BYTES, told.availableBytes / MEMORY_STEP_SHARE);
  const hasMoved = Math.abs(told.availableBytes - load.availableBytes) > memoryStep ||
    hasSpeedMoved(told.decodeTokensPerMinute, load.decodeTokensPerMinute) ||
    hasSpeedMoved(told.prefillTokensPerMinute, load.prefillTokensPerMinute);
  return hasMoved ? IDLE_GAP_MS * tellingStretch(members, "minor") : undefined;
}

function hasSpeedMoved(told: number, speed: number): boolean {
  return Math.abs(told - speed) * SPEED_STEP_SHARE > told;
}

/** How exactly it is told when a loaded copy goes: each request puts that off. */
const EXPIRY_STEP_MS = 10_000;

/** As {@link LoadReport}, for what is loaded. */
export interface CopiesReport {
  readonly copies: readonly LoadedCopy[] | undefined;
  readonly nextLookMs: number | undefined;
}

/** As {@link LoadReports}, for what is loaded: at most four times a second, and nothing while nothing happens. */
export class CopiesReports {
  #told: readonly LoadedCopy[] = [];
  #toldMs = -Infinity;

  /** Takes what is loaded now. */
  look(copies: readonly LoadedCopy[], { nowMs, members }: Moment): CopiesReport {
    const rounded = copies.map((copy) => ({
      ...copy,
      expiresAtMs: Math.ceil(copy.expiresAtMs / EXPIRY_STEP_MS) * EXPIRY_STEP_MS,
    })).sort((a, b) => a.manifest < b.manifest ? -1 : a.manifest > b.manifest ? 1 : 0);
    if (isSameList(rounded, this.#told)) return { copies: undefined, nextLookMs: undefined };
    const weight = isSameChoice(rounded, this.#told) ? "minor" : "major";
    const dueMs = this.#toldMs + BUSY_GAP_MS * tellingStretch(members, weight);
    if (nowMs < dueMs) return { copies: undefined, nextLookMs: dueMs };
    this.#told = rounded;
    this.#toldMs = nowMs;
    return { copies: rounded, nextLookMs: undefined };
  }
}

/** The same copies, and the same of them with a slot free. */
function isSameChoice(a: readonly LoadedCopy[], b: readonly LoadedCopy[]): boolean {
  const isFull = (copy: LoadedCopy) => copy.runningRequests >= copy.slots;
  return a.length === b.length && a.every((copy, index) => {
    const other = b[index];
    return other !== undefined && copy.manifest === other.manifest &&
      isFull(copy) === isFull(other);
  });
}

function isSameList(a: readonly LoadedCopy[], b: readonly LoadedCopy[]): boolean {
  return a.length === b.length && a.every((copy, index) => {
    const other = b[index];
    return other !== undefined && copy.manifest === other.manifest && copy.name === other.name &&
      copy.sizeBytes === other.sizeBytes && copy.vramBytes === other.vramBytes &&
      copy.contextLength === other.contextLength && copy.expiresAtMs === other.expiresAtMs &&
      copy.slots === other.slots && copy.runningRequests === other.runningRequests;
  });
}

/** As {@link LoadReports}, for how fast each model is; which one was loaded last is not worth telling. */
export class SpeedsReports {
  #told: readonly ModelSpeed[] = [];
  #toldMs = -Infinity;

  /** Takes the speeds of now. Returns them where they are to be told. */
  look(
    models: readonly ModelSpeed[],
    { nowMs, members }: Moment,
  ): readonly ModelSpeed[] | undefined {
    const gapMs = IDLE_GAP_MS * tellingStretch(members, "minor");
    if (nowMs < this.#toldMs + gapMs || !this.#areNews(models)) return undefined;
    this.#told = models;
    this.#toldMs = nowMs;
    return models;
  }

  #areNews(models: readonly ModelSpeed[]): boolean {
    const told = new Map(this.#told.map((model) => [model.manifest, model]));
    return models.some((model) => {
      const before = told.get(model.manifest);
      return before === undefined ||
        hasSpeedMoved(before.decodeTokensPerMinute, model.decodeTokensPerMinute) ||
        hasSpeedMoved(before.prefillTokensPerMinute, model.prefillTokensPerMinute) ||
        hasSpeedMoved(before.loadMs, model.loadMs);
    });
  }
}

/** Weight of a new measurement against all before: an eighth, so that one odd answer does not move requests. */
const SPEED_WEIGHT = 8;
/** Tokens in one measurement below which it says more about rounding than about speed. */
const SPEED_TOKENS_MIN = 8;

/** A speed in tokens per minute, averaged over answers with the newest counting most; 0 until one was measured. */
export class SpeedAverage {
  #perMinute = 0;

  get tokensPerMinute(): number {
    return this.#perMinute;
  }

  /** One answer's or prompt's tokens and what they took; short ones are passed over. */
  add(tokenCount: number, durationMs: number): void {
    if (tokenCount < SPEED_TOKENS_MIN || !(durationMs > 0)) return;
    const measured = Math.round((tokenCount * 60_000) / durationMs);
    this.#perMinute = this.#perMinute === 0
      ? measured
      : Math.round(this.#perMinute + (measured - this.#perMinute) / SPEED_WEIGHT);
  }
}
