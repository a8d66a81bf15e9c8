import type { ArrivingModel } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";

/** Models that are told of at once; the newest first. */
const ARRIVING_MAX = 64;

/** One model on its way to this node. Disposed, it is told of no more. */
export interface Arrival extends Disposable {
  /** So many bytes of a layer are here. */
  note(layer: BlobLayer, completed: number): void;
}

/** Which models are on their way to this node, and how much of each is here, whoever wanted them. */
export class Arrivals {
  readonly #arriving = new Set<{ readonly row: () => ArrivingModel }>();

  begin(model: string, layers: readonly BlobLayer[]): Arrival {
    const total = layers.reduce((sum, { size }) => sum + size, 0);
    const here = new Map<string, number>();
    const row = () => ({
      model,
      total,
      completed: [...here.values()].reduce((sum, bytes) => sum + bytes, 0),
    });
    const arriving = { row };
    this.#arriving.add(arriving);
    return {
      note: ({ digest, size }, completed) => void here.set(digest, Math.min(size, completed)),
      [Symbol.dispose]: () => void this.#arriving.delete(arriving),
    };
  }

  /** One row a model, the one that has most where several want it. */
  rows(): readonly ArrivingModel[] {
    const rows = new Map<string, ArrivingModel>();
    for (const { row } of [...this.#arriving].reverse().slice(0, ARRIVING_MAX)) {
      const arriving = row();
      const known = rows.get(arriving.model);
      if (known === undefined || known.completed < arriving.completed) {
        rows.set(arriving.model, arriving);
      }
    }
    return [...rows.values()];
  }
}
