import { BoundedMap, errorMessage } from "../../base/mod.ts";
import type { Clock, Engine, KeptFile, Log } from "../../ports/mod.ts";
import type { ExactProof, LoadSettings } from "../../protocol/mod.ts";
import {
  arrayShape,
  booleanShape,
  choiceShape,
  DRAFT_COSTS_MAX,
  maybeShape,
  numberShape,
  objectShape,
  readShape,
  type Shape,
  textShape,
  UNPROVEN_REASON,
} from "../../protocol/mod.ts";

/** Models whose proofs are kept; those of the one used longest ago go. */
const MODELS_MAX = 512;
/** Proofs of one model: one for each build, window and number of threads. */
export const PROOFS_PER_MODEL_MAX = 16;
/** Models that wait for a proof; of more, those that were loaded last are proven. */
const UNPROVEN_MAX = 16;
/** How long nobody was answered before a proof begins: between two turns of a conversation there is no time for one. */
const REST_MS = 30_000;
/** Room that a proof wants, in copies of the model. */
const COPIES_AT_ONCE = 2;
const GIVEN_UP = new Error("somebody wants an answer");
/** Rises when a proof proves something else: older ones then count as absent. */
const FILE_VERSION = 2;

export const proofShape: Shape<ExactProof> = objectShape({
  of: textShape(1024),
  policy: maybeShape(
    choiceShape(["plain", "short", "unpacked", "paired", "unpacked_paired", "single_thread"]),
  ),
  reason: textShape(4096),
  isFinished: booleanShape,
  anyThreads: booleanShape,
  prefillRatio: numberShape(0),
  decodeRatio: numberShape(0),
  draftCosts: maybeShape(arrayShape(numberShape(0), DRAFT_COSTS_MAX)),
  proofMs: numberShape(0),
});
/** See {@link filesOf}. */
export const filesShape = textShape(8192);
const fileShape = objectShape({
  version: numberShape(FILE_VERSION, FILE_VERSION),
  models: arrayShape(
    objectShape({ files: filesShape, proofs: arrayShape(proofShape, PROOFS_PER_MODEL_MAX) }),
    MODELS_MAX,
  ),
});

/** What earlier loads have proven, by the files of the model. */
export class ProofBook {
  readonly #file: Pick<KeptFile, "read" | "write"> | undefined;
  readonly #proofs = new BoundedMap<string, readonly ExactProof[]>(MODELS_MAX);
  #writing: Promise<void> = Promise.resolve();
  /** Something was proven on this machine. */
  onProven: (files: string, proof: ExactProof) => void = () => {};

  /** Without a file, proofs are forgotten with the process. */
  constructor(file?: Pick<KeptFile, "read" | "write">) {
    this.#file = file;
  }

  /** With what the file holds. One that can't be read counts as absent: all in it can be proven again. */
  static async open(file: Pick<KeptFile, "read" | "write">): Promise<ProofBook> {
    const book = new ProofBook(file);
    const bytes = await file.read().catch(() => undefined);
    for (const { files, proofs } of bytes === undefined ? [] : parseFile(bytes)) {
      book.#proofs.set(files, proofs);
    }
    return book;
  }

  find(files: string): readonly ExactProof[] {
    return this.#proofs.use(files) ?? [];
  }

  add(settings: LoadSettings, proof: ExactProof): void {
    const files = filesOf(settings);
    const others = (this.#proofs.get(files) ?? []).filter(({ of }) => of !== proof.of);
    this.#keep(files, [...others, proof]);
    this.onProven(files, proof);
  }

  /** What another machine has proven: it takes no room from what is known here, and stands in for no proof of this one. */
  learn(files: string, proof: ExactProof): void {
    const known = this.#proofs.get(files);
    if (
      known === undefined ? this.#proofs.size >= MODELS_MAX : known.length >= PROOFS_PER_MODEL_MAX
    ) return;
    if (known?.some(({ of }) => of === proof.of)) return;
    this.#keep(files, [proof, ...known ?? []]);
  }

  #keep(files: string, proofs: readonly ExactProof[]): void {
    this.#proofs.set(files, proofs.slice(-PROOFS_PER_MODEL_MAX));
    // A full disk costs another proof after the next start, and nothing else.
    this.#writing = this.#writing.then(() => this.#save()).catch(() => {});
  }

  /** Resolves when what is known is in the file, as far as it can be written. */
  async saved(): Promise<void> {
    await this.#writing;
  }

  async #save(): Promise<void> {
    const models = [...this.#proofs].map(([files, proofs]) => ({
      files,
      proofs: proofs.filter(isLasting),
    }));
    const text = JSON.stringify({ version: FILE_VERSION, models });
    await this.#file?.write(new TextEncoder().encode(text));
  }
}

/** A machine that was too busy for a proof may have time for it after the next start. */
function isLasting({ isFinished, policy }: ExactProof): boolean {
  return isFinished || policy !== undefined;
}

/** Blobs are named by their digests. */
function filesOf({ modelPath, adapterPaths }: LoadSettings): string {
  return [modelPath, ...adapterPaths].map((path) => path.replace(/^.*[/\\]/, "")).join("+");
}

function parseFile(bytes: Uint8Array) {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const read = readShape(fileShape, value);
    return read.kind === "decoded" ? read.value.models : [];
  } catch {
    return [];
  }
}

/** What an engine's proofs go through. */
export interface ProvenBy {
  readonly book: ProofBook;
  /** Absent = each load waits for its proof. */
  readonly prover?: IdleProver;
  /** Absent = there are no others. */
  readonly exchange?: {
    /** What others have proven of a model's files. */
    ask(files: string): Promise<readonly ExactProof[]>;
  };
}

/**
 * The engine, which is handed what was proven of a model here or on other machines, and whose new proofs are kept. Whoever
 * needs no exact answer doesn't wait for a proof: the prover makes it when nobody is answered.
 */
export function provenEngine(engine: Engine, { book, prover, exchange }: ProvenBy): Engine {
  return {
    async load(settings, options) {
      const own = book.find(filesOf(settings));
      const mayBeExact = (settings.exact ?? "off") !== "off" && settings.mode !== "embed";
      const proofs = own.length > 0 || !mayBeExact
        ? own
        : await exchange?.ask(filesOf(settings)) ?? own;
      // A device's memory may hold no second copy.
      const provesLater = prover !== undefined && (settings.devices ?? []).length === 0;
      const model = await engine.load({ ...settings, proofs, provesLater }, options);
      if (model.proof !== undefined) book.add(settings, model.proof);
      if (model.facts.exactness?.reason === UNPROVEN_REASON) {
        prover?.add(settings, model.facts.memoryBytes);
      }
      return model;
    },
  };
}

/** What is proven while nobody is answered. */
export interface IdleProverParts {
  readonly engine: Engine;
  readonly book: ProofBook;
  readonly clock: Clock;
  readonly log: Log;
  /** What stays free in any case. */
  readonly reserveBytes: number;
}

/** How the node is used now. */
export interface NodeUse {
  /** Nobody is answered, waits, or has a model loaded for them. */
  readonly isIdle: boolean;
  readonly availableBytes: () => number;
}

interface Unproven {
  readonly settings: LoadSettings;
  readonly memoryBytes: number;
}

/** Proves models in runners of their own, one at a time, and gives each up as soon as somebody wants an answer. */
export class IdleProver {
  readonly #parts: IdleProverParts;
  /** By their files; the last one loaded counts. */
  readonly #waiting = new BoundedMap<string, Unproven>(UNPROVEN_MAX);
  #isIdle = false;
  #timer: { cancel(): void } | undefined;
  #running: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;

  constructor(parts: IdleProverParts) {
    this.#parts = parts;
  }

  /** To be proven when there is time. `memoryBytes`: what a copy takes. */
  add(settings: LoadSettings, memoryBytes: number): void {
    this.#waiting.set(filesOf(settings), { settings, memoryBytes });
  }

  /** To be called whenever it may have changed. */
  look(use: NodeUse): void {
    if (use.isIdle && this.#isIdle) return;
    this.#isIdle = use.isIdle;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!use.isIdle) return void this.#running?.abort.abort(GIVEN_UP);
    this.#arm(use);
  }

  /** Ends a proof that runs. Nothing is proven afterwards. */
  async close(): Promise<void> {
    this.#waiting.clear();
    this.look({ isIdle: false, availableBytes: () => 0 });
    await this.#running?.ended;
  }

  #arm(use: NodeUse): void {
    if (this.#waiting.size === 0) return;
    this.#timer = this.#parts.clock.after(REST_MS, () => this.#begin(use));
  }

  #begin(use: NodeUse): void {
    if (this.#running !== undefined) return this.#arm(use);
    const [first] = this.#waiting;
    if (first === undefined) return;
    const [files, { settings, memoryBytes }] = first;
    this.#waiting.delete(files);
    // Weights that are laid out anew lie in memory twice while two layouts are compared.
    const room = use.availableBytes() - this.#parts.reserveBytes;
    if (room < COPIES_AT_ONCE * memoryBytes) return this.#arm(use);
    const abort = new AbortController();
    const ended = this.#prove(settings, abort.signal).then(() => {
      this.#running = undefined;
      if (abort.signal.aborted) this.add(settings, memoryBytes);
      else if (this.#isIdle) this.#arm(use);
    });
    this.#running = { abort, ended };
  }

  async #prove(settings: LoadSettings, signal: AbortSignal): Promise<void> {
    const { engine, book, log } = this.#parts;
    try {
      const model = await engine.load({ ...settings, slots: 1, proofs: [] }, { signal });
      if (model.proof !== undefined) book.add(settings, model.proof);
      const { policy, reason, proofMs } = model.proof ?? {};
      log.log("info", "model_proven", { files: filesOf(settings), policy, reason, proofMs });
      await model.unload();
    } catch (error) {
      if (signal.aborted) return;
      log.log("warn", "model_proof_failed", {
        files: filesOf(settings),
        reason: errorMessage(error),
      });
    }
  }
}
