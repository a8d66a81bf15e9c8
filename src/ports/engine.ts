import type {
  DeviceFacts,
  ExactProof,
  LoadedFacts,
  LoadSettings,
  SequenceEvent,
  SequenceRequest,
} from "../protocol/mod.ts";

/** Loads models. The real one starts a runner process per loaded model; each load is a fresh process. */
export interface Engine {
  /**
   * Resolves once the model can serve, however long that takes: who gives up aborts `signal`.
   *
   * @throws UnavailableError `load_failed` with llama.cpp's reason; `signal`'s reason when aborted. The runner is gone
   *   in each case.
   */
  load(settings: LoadSettings, options: LoadOptions): Promise<LoadedModel>;
}

/** What concerns one load, and not what is loaded. */
export interface LoadOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (fraction: number) => void;
  /** The model is to be loaded over several nodes, this one taking so much of it at most; absent = whole, here. */
  readonly split?: {
    readonly ownBytes: number;
    /** Beside them, of a device of this node. */
    readonly device?: { readonly name: string; readonly bytes: number };
  };
}

/** How a model lies on several nodes. */
export interface SplitView {
  /** In the order of the layers; the leader's last. */
  readonly shards: readonly {
    /** Of the node; its id where it has none. */
    readonly name: string;
    /** Counted from 0. */
    readonly firstLayer: number;
    readonly layerCount: number;
    readonly memoryBytes: number;
    /** That computes; absent = the cores, or not known. */
    readonly device?: string | undefined;
  }[];
  /** As planned; while the window is still empty. */
  readonly msPerToken: number;
  /** On each way between the leader and a worker, both directions. */
  readonly linkBytesPerToken: number;
}

/** One runner with one model in it. After `exited` every call fails with UnavailableError `runner_lost`. */
export interface LoadedModel {
  readonly facts: LoadedFacts;
  /** Made for this load, to be handed to the next ones; absent = none was needed, or it was known. */
  readonly proof?: ExactProof;
  /** Process id of the runner, for status pages and tests. */
  readonly processId: number;
  /** Absent = it is whole on one node. */
  readonly split?: SplitView | undefined;
  /** Resolves when it should be loaded anew, elsewhere, as soon as it is idle; absent or never = it stays. */
  readonly isToMove?: Promise<void>;
  /** Resolves when the runner is gone, with what is known of the reason; also after {@link unload}. */
  readonly exited: Promise<{ readonly expected: boolean; readonly reason: string }>;
  /**
   * Runs one answer. Events come in order: `started`, `tokens`..., `finished`. Waits inside the runner when all slots are
   * busy. Aborting `signal` frees the slot within one batch and ends the iteration with `finished: cancelled`.
   *
   * @throws RequestError `prompt_too_long`, `invalid_format` (grammar the engine refuses); UnavailableError `runner_lost`.
   */
  generate(request: SequenceRequest, signal: AbortSignal): AsyncIterable<SequenceEvent>;
  /**
   * Vectors in the order of `inputs`, L2-normalised. With a `query`, how well each input answers it: one figure each, as the
   * model gives it.
   *
   * @throws RequestError `prompt_too_long`; `unsupported_capability` for a query where the model ranks nothing, and without
   *   one where it does nothing else.
   */
  embed(
    inputs: readonly string[],
    options: { onLongInput: "truncate" | "refuse"; signal: AbortSignal; query?: string },
  ): Promise<{ readonly vectors: readonly Float32Array[]; readonly promptTokens: number }>;
  /**
   * The tokens of a text; of one with more than `tokensWanted`, at least so many of the first, because the whole of a
   * very long text takes seconds, in which the runner does nothing else.
   */
  tokenize(
    text: string,
    options: { addSpecial: boolean; tokensWanted?: number },
  ): Promise<readonly number[]>;
  detokenize(tokens: readonly number[]): Promise<Uint8Array>;
  /** Ends the runner; resolves when the process is gone. Running answers fail with `runner_lost`. */
  unload(): Promise<void>;
}

/** What this machine computes with beside its cores. */
export interface Devices {
  /** As last looked at; none before {@link look}. In llama.cpp's order, `freeBytes` as their drivers said then. */
  list(): readonly DeviceFacts[];
  /** Looks anew; never throws: what can't be looked at has no devices. Looks that overlap are one. */
  look(): Promise<void>;
}
