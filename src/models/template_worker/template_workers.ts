import { createHash } from "node:crypto";
import { BoundedMap, UnavailableError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import type {
  PromptInput,
  RenderedPrompt,
  TemplateSources,
  TemplateTraits,
} from "../template/mod.ts";
import { toWire, type WorkerReply } from "./messages.ts";
import {
  BATCH_CHARS_MAX,
  BATCH_MAX,
  LOSSES_MAX,
  QUESTION_CHARS_MAX,
  RENDER_MS_MAX,
  RENDER_WALL_MS_MAX,
  WAITING_MAX,
  WORKER_HEAP_MIB,
} from "./worker_limits.ts";
import { WorkerProcess } from "./worker_process.ts";

/** One for what is known to end, and one more while that is held up. */
const WORKERS_MAX = 2;
/** How long the last idle worker stays: as long as a model by default. Milliseconds. */
const IDLE_MS = 300_000;
/** How long any other idle worker stays. */
const SPARE_IDLE_MS = 10_000;
/**
 * The end of a rendering's time, in which the processor that it uses is counted: whoever computes then is taken to have done
 * so all along, and a template that a busy machine held up needs no more.
 */
const OVERTIME_MS = 50;
/** The longest wait between two looks at a rendering that is held up. */
const LOOK_MS_MAX = 1_000;
/** Templates remembered as having ended well. */
const PROVEN_MAX = 1_024;

/** Who asks: a request's own template comes last, because anybody can send a thousand of them. */
export type TemplateOrigin = "model" | "request";

/** What became of a template. */
export type TemplateOutcome =
  | {
    readonly kind: "answer";
    readonly traits: TemplateTraits;
    readonly prompt: RenderedPrompt | undefined;
  }
  /** It is wrong, or fails on this input. */
  | { readonly kind: "refused"; readonly message: string }
  /** It took more time or memory than any template may have. */
  | { readonly kind: "exceeded"; readonly message: string };

/** Compiles and runs templates out of this process's reach. */
export interface TemplateWorkers {
  /**
   * Renders `input`; null = only tells what the template can do.
   *
   * @throws UnavailableError `queue_full` when too many wait, `runner_lost` when no worker can be started or gets a processor,
   *   `stopping`.
   */
  run(
    sources: TemplateSources,
    input: PromptInput | null,
    origin: TemplateOrigin,
  ): Promise<TemplateOutcome>;
  /** Starts a worker, so that the next question needn't wait for that. */
  warm(): void;
  /** Ends all workers; questions that wait fail. Resolves when they are gone. */
  close(): Promise<void>;
}

/** What {@link createTemplateWorkers} takes. */
export interface TemplateWorkersOptions {
  /** Program and arguments that become a worker. */
  readonly command: readonly string[];
  readonly clock: Clock;
}

export function createTemplateWorkers(options: TemplateWorkersOptions): TemplateWorkers {
  return new Pool(options);
}

interface Job {
  readonly template: NamedSources;
  /** As JSON. */
  readonly inputText: string;
  readonly origin: TemplateOrigin;
  readonly done: PromiseWithResolvers<TemplateOutcome>;
  /** Workers that others ended under it. */
  losses: number;
  /** Some rendering beside it was not answered: it may have been this one. */
  isAlone: boolean;
}

/** Sources as JSON, and a name for them. */
interface NamedSources {
  readonly key: string;
  readonly text: string;
}

/** Of what a worker says by a template; undefined where it was ended before it said all. */
interface Heard {
  readonly replies: readonly WorkerReply[] | undefined;
  /** Why it was ended. */
  readonly ended: "used_up" | "held_up" | undefined;
}

/**
 * Two processes at most. Templates that have not rendered anything yet may hold one of them, so those that have go on
 * whatever strangers send.
 */
class Pool implements TemplateWorkers {
  readonly #options: TemplateWorkersOptions;
  readonly #workers = new Set<WorkerProcess>();
  /** The one used last is last. */
  readonly #idle = new Map<WorkerProcess, { cancel(): void }>();
  /** In order of use. */
  readonly #proven = new BoundedMap<string, true>(PROVEN_MAX);
  /** Those of a model are the same with each request. */
  readonly #named = new WeakMap<TemplateSources, NamedSources>();
  readonly #waiting: Job[] = [];
  #unprovenRunning = 0;
  #startingCount = 0;
  #isClosed = false;

  constructor(options: TemplateWorkersOptions) {
    this.#options = options;
  }

  run(
    sources: TemplateSources,
    input: PromptInput | null,
    origin: TemplateOrigin,
  ): Promise<TemplateOutcome> {
    const template = this.#named.get(sources) ?? named(sources);
    this.#named.set(sources, template);
    const inputText = input === null ? "null" : JSON.stringify(toWire(input));
    const chars = questionOf({ template, inputText }, { isTold: false }).length;
    if (chars > QUESTION_CHARS_MAX) {
      const message = `template and conversation have ${chars} characters, ` +
        `at most ${QUESTION_CHARS_MAX} can be rendered`;
      return Promise.resolve({ kind: "refused", message });
    }
    if (this.#isClosed) throw stopping();
    if (this.#waiting.length >= WAITING_MAX) {
      throw new UnavailableError("queue_full", `${WAITING_MAX} prompts wait to be rendered`);
    }
    const done = Promise.withResolvers<TemplateOutcome>();
    this.#waiting.push({ template, inputText, origin, done, losses: 0, isAlone: false });
    this.#pump();
    return done.promise;
  }

  warm(): void {
    if (this.#workers.size === 0 && !this.#isClosed) this.#start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const job of this.#waiting.splice(0)) job.done.reject(stopping());
    const workers = [...this.#workers];
    for (const worker of workers) this.#end(worker);
    await Promise.all(workers.map((worker) => worker.exited));
  }

  #pump(): void {
    for (let job = this.#nextJob(); job !== undefined; job = this.#nextJob()) {
      const worker = [...this.#idle.keys()].at(-1);
      if (worker === undefined) {
        if (this.#startingCount === 0 && this.#workers.size < WORKERS_MAX) this.#start();
        return;
      }
      void this.#give(worker, this.#takeWith(job));
    }
  }

  /** What may run now: proven templates first, then those of models, each in the order they came. */
  #nextJob(): Job | undefined {
    const proven = this.#waiting.find((job) => this.#isProven(job));
    if (proven !== undefined || this.#unprovenRunning > 0) return proven;
    return this.#waiting.find(({ origin }) => origin === "model") ?? this.#waiting[0];
  }

  #isProven({ template }: Job): boolean {
    return this.#proven.has(template.key);
  }

  /** Takes a job, and what else may go with it, from those that wait. */
  #takeWith(first: Job): readonly Job[] {
    const waiting = this.#waiting;
    waiting.splice(waiting.indexOf(first), 1);
    const taken = [first];
    if (first.isAlone || !this.#isProven(first)) return taken;
    let chars = first.inputText.length;
    for (let index = 0; index < waiting.length && taken.length < BATCH_MAX;) {
      const job = waiting[index];
      if (job === undefined) break;
      chars += job.inputText.length;
      if (chars > BATCH_CHARS_MAX) break;
      if (job.isAlone || !this.#isProven(job)) index++;
      else taken.push(...waiting.splice(index, 1));
    }
    return taken;
  }

  async #give(worker: WorkerProcess, jobs: readonly Job[]): Promise<void> {
    const unproven = jobs.filter(({ template }) => this.#proven.use(template.key) === undefined);
    this.#unprovenRunning += unproven.length;
    this.#idle.get(worker)?.cancel();
    this.#idle.delete(worker);
    const heard = await this.#ask(worker, jobs);
    this.#unprovenRunning -= unproven.length;
    if (heard.replies === undefined) {
      if (!await this.#loseWorker(worker, jobs, heard.ended)) return;
    } else {
      this.#rest(worker);
      for (const [index, job] of jobs.entries()) this.#settle(worker, job, heard.replies[index]);
    }
    this.#pump();
  }

  #settle(worker: WorkerProcess, job: Job, reply: WorkerReply | undefined): void {
    const { key } = job.template;
    if (reply?.kind === "forgotten") {
      worker.told.delete(key);
      this.#waiting.unshift(job);
      return;
    }
    if (reply?.kind === "answer") worker.told.set(key, true);
    if (reply?.kind === "answer" && reply.prompt !== null) this.#proven.set(key, true);
    job.done.resolve(outcomeOf(reply, false));
  }

  /** False = what was asked is asked again, and all else was seen to. */
  async #loseWorker(
    worker: WorkerProcess,
    jobs: readonly Job[],
    ended: Heard["ended"],
  ): Promise<boolean> {
    this.#end(worker);
    // What comes next needn't wait for its start.
    if (this.#workers.size === 0 && !this.#isClosed) this.#start();
    const [job] = jobs;
    if (job === undefined) return true;
    if (this.#isClosed) {
      for (const { done } of jobs) done.reject(stopping());
      return true;
    }
    if (jobs.length > 1) {
      for (const one of jobs) one.isAlone = true;
      this.#repeat(jobs);
      return false;
    }
    this.#proven.delete(job.template.key);
    if (ended === undefined && await this.#isToBeRepeated(worker, job)) {
      this.#repeat(jobs);
      return false;
    }
    if (ended === "held_up") job.done.reject(heldUp());
    else job.done.resolve(outcomeOf(undefined, ended === "used_up"));
    return true;
  }

  /** What somebody else did to a worker says nothing about the template. */
  async #isToBeRepeated(worker: WorkerProcess, job: Job): Promise<boolean> {
    if (this.#isClosed || !await worker.wasEndedByOthers()) return false;
    return ++job.losses <= LOSSES_MAX;
  }

  #repeat(jobs: readonly Job[]): void {
    this.#waiting.unshift(...jobs);
    this.#pump();
  }

  async #ask(worker: WorkerProcess, jobs: readonly Job[]): Promise<Heard> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    let ended: "used_up" | "held_up" | undefined;
    let isOver = false;
    // Where the system doesn't tell what it uses, it counts as computing.
    const judge = (usedMs: number | undefined, beforeMs: number | undefined) => {
      if (usedMs === undefined || beforeMs === undefined) return "used_up";
      if (usedMs - beforeMs >= OVERTIME_MS) return "used_up";
      return clock.monotonicMs() - startedMs >= RENDER_WALL_MS_MAX ? "held_up" : undefined;
    };
    const look = async (beforeMs: number | undefined, pauseMs: number) => {
      const usedMs = await worker.processorMs();
      if (isOver) return;
      ended = judge(usedMs, beforeMs);
      if (ended !== undefined) return worker.kill();
      timer = clock.after(pauseMs, () => void look(beforeMs, Math.min(2 * pauseMs, LOOK_MS_MAX)));
    };
    let timer = clock.after(RENDER_MS_MAX - OVERTIME_MS, async () => {
      const beforeMs = await worker.processorMs();
      if (!isOver) timer = clock.after(OVERTIME_MS, () => void look(beforeMs, OVERTIME_MS));
    });
    const questions = jobs.map((job) => {
      return questionOf(job, { isTold: worker.told.use(job.template.key) !== undefined });
    });
    const replies = await worker.ask(questions);
    isOver = true;
    timer.cancel();
    return { replies, ended };
  }

  #start(): void {
    const worker = new WorkerProcess(this.#options.command);
    this.#workers.add(worker);
    this.#startingCount++;
    void worker.exited.then(() => {
      if (this.#idle.has(worker)) this.#end(worker);
    });
    void worker.ready.then((isReady) => {
      this.#startingCount--;
      if (isReady && !this.#isClosed) this.#rest(worker);
      else void this.#failStart(worker);
      this.#pump();
    });
  }

  async #failStart(worker: WorkerProcess): Promise<void> {
    const job = this.#waiting[0];
    if (job === undefined || !await this.#isToBeRepeated(worker, job)) {
      const message = "the process that renders templates could not be started";
      this.#waiting.shift()?.done.reject(new UnavailableError("runner_lost", message));
    }
    this.#end(worker);
    this.#pump();
  }

  #rest(worker: WorkerProcess): void {
    const isSpare = this.#idle.size > 0;
    const timer = this.#options.clock.after(isSpare ? SPARE_IDLE_MS : IDLE_MS, () => {
      this.#end(worker);
    });
    this.#idle.set(worker, timer);
  }

  #end(worker: WorkerProcess): void {
    worker.kill();
    this.#idle.get(worker)?.cancel();
    this.#idle.delete(worker);
    this.#workers.delete(worker);
  }
}

function outcomeOf(reply: WorkerReply | undefined, late: boolean): TemplateOutcome {
  if (reply?.kind === "refused") return reply;
  if (reply?.kind === "answer") return { ...reply, prompt: reply.prompt ?? undefined };
  const limit = late ? `${RENDER_MS_MAX} ms` : `${WORKER_HEAP_MIB} MiB of memory`;
  return { kind: "exceeded", message: `the template takes more than ${limit}` };
}

function stopping(): UnavailableError {
  return new UnavailableError("stopping", "this node is stopping");
}

function heldUp(): UnavailableError {
  const text = `the process that renders templates got no processor for ${RENDER_WALL_MS_MAX} ms`;
  return new UnavailableError("runner_lost", text);
}

function named(sources: TemplateSources): NamedSources {
  const text = JSON.stringify(sources);
  return { text, key: createHash("sha256").update(text).digest("base64") };
}

function questionOf(
  { template: { key, text }, inputText }: Pick<Job, "template" | "inputText">,
  { isTold }: { readonly isTold: boolean },
): string {
  return `{"key":"${key}",${isTold ? "" : `"sources":${text},`}"input":${inputText}}`;
}
