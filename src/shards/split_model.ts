import type { LoadedModel, SplitView } from "../ports/mod.ts";
import type { LentWorker } from "./lent_worker.ts";

/** What holds a model together while it is loaded. */
export interface SplitModelParts {
  readonly workers: readonly LentWorker[];
  readonly view: SplitView;
}

/**
 * A model that several nodes compute: its leader's runner here, whose end is the workers' end. A worker that is lost ends the
 * runner at once, as llama.cpp would abort, or wait for ever.
 */
export class SplitModel implements LoadedModel {
  readonly facts: LoadedModel["facts"];
  readonly exited: LoadedModel["exited"];
  readonly split: SplitView;
  readonly isToMove: Promise<void>;
  readonly #leader: LoadedModel;

  constructor(leader: LoadedModel, { workers, view }: SplitModelParts) {
    this.#leader = leader;
    this.facts = leader.facts;
    this.split = view;
    let lost: string | undefined;
    for (const worker of workers) {
      void worker.ended.then(({ isLost, reason }) => {
        if (!isLost) return;
        lost ??= `its worker on node ${worker.nodeId} is gone: ${reason}`;
        void leader.unload();
      });
    }
    this.isToMove = Promise.race(workers.map((worker) => worker.leaving));
    this.exited = leader.exited.then((end) => {
      const first = lost;
      for (const worker of workers) worker.close();
      return first === undefined ? end : { expected: false, reason: first };
    });
  }

  get processId(): number {
    return this.#leader.processId;
  }

  generate(...asked: Parameters<LoadedModel["generate"]>) {
    return this.#leader.generate(...asked);
  }

  embed(...asked: Parameters<LoadedModel["embed"]>) {
    return this.#leader.embed(...asked);
  }

  tokenize(...asked: Parameters<LoadedModel["tokenize"]>) {
    return this.#leader.tokenize(...asked);
  }

  detokenize(tokens: readonly number[]): Promise<Uint8Array> {
    return this.#leader.detokenize(tokens);
  }

  unload(): Promise<void> {
    return this.#leader.unload();
  }
}
