/** Memory that layers may lie in, and how fast they are computed there. */
export interface LayerPlace {
  /** For layers alone, after whatever else lies there. */
  readonly roomBytes: number;
  /** Weights that are read a millisecond while one token is computed; > 0. */
  readonly bytesPerMs: number;
  /** What a token costs for being sent there and back; 0 where the leader computes itself. */
  readonly linkMs: number;
}

/** One layer: what lies in memory, and what is read of its weights for one token. */
export interface LayerBytes {
  readonly memoryBytes: number;
  readonly activeBytes: number;
}

export interface SplitRequest<Place extends LayerPlace> {
  /** In the order of the model. */
  readonly layers: readonly LayerBytes[];
  /** In the order in which they take layers, unless another order is better. */
  readonly workers: readonly Place[];
  /** The leader's own places, which take the last layers. */
  readonly own: readonly Place[];
  /** Places of workers that must have layers at least. */
  readonly workersMin: 0 | 1;
  readonly workersMax: number;
}

/** Who computes which layers: consecutive ranges, each begins where the one before ends. */
export interface LayerSplit<Place extends LayerPlace> {
  /** Of one token: reading weights, and the links. */
  readonly ms: number;
  /** Each place of the request once, workers in the order of the layers, then the leader's own. */
  readonly shares: readonly { readonly place: Place; readonly layerCount: number }[];
}

/** Steps of the search in which all orders of the workers are tried: about 100 ms. */
const STEPS_MAX = 20_000_000;

/**
 * The split of all layers that takes the least time a token, with the fewest workers of those that take the same; undefined
 * where none fits. The best of all splits where the layers are alike, or the workers few enough to try them in every order (five of 80
 * layers); else the best in the order given.
 */
export function splitLayers<Place extends LayerPlace>(
  request: SplitRequest<Place>,
): LayerSplit<Place> | undefined {
  let best: LayerSplit<Place> | undefined;
  for (const workers of ordersOf(request)) {
    const split = splitInOrder({ ...request, workers });
    if (split !== undefined && (best === undefined || split.ms < best.ms)) best = split;
  }
  return best;
}

function ordersOf<Place extends LayerPlace>(
  { layers, workers, workersMax }: SplitRequest<Place>,
): readonly Place[][] {
  const [first] = layers;
  const areAlike = layers.every(({ memoryBytes, activeBytes }) =>
    memoryBytes === first?.memoryBytes && activeBytes === first.activeBytes
  );
  const workerCount = workers.length;
  let steps = workerCount * Math.min(workerCount, workersMax) * layers.length ** 2 / 2;
  for (let count = 2; count <= workerCount; count++) steps *= count;
  return areAlike || steps > STEPS_MAX ? [[...workers]] : permutations(workers);
}

function permutations<Place>(places: readonly Place[]): Place[][] {
  if (places.length === 0) return [[]];
  return places.flatMap((place, index) =>
    permutations(places.toSpliced(index, 1)).map((rest) => [place, ...rest])
  );
}

/** Least time by number of layers placed and of workers used, one place after another; and how many layers each took for it. */
function splitInOrder<Place extends LayerPlace>(
  request: SplitRequest<Place>,
): LayerSplit<Place> | undefined {
  const places = [...request.workers, ...request.own];
  const memory = sumsOf(request.layers.map(({ memoryBytes }) => memoryBytes));
  const active = sumsOf(request.layers.map(({ activeBytes }) => activeBytes));
  const usedMax = Math.min(request.workersMax, request.workers.length);
  const table = new CostTable(request.layers.length, usedMax);
  const taken = places.map((place, index) =>
    table.addPlace(place, { memory, active, isWorker: index < request.workers.length })
  );
  const end = table.cheapestEnd(request.workersMin);
  if (end === undefined) return undefined;
  const shares: LayerSplit<Place>["shares"][number][] = [];
  let { placed, used } = end;
  for (let index = places.length - 1; index >= 0; index--) {
    const place = places[index];
    const layerCount = taken[index]?.[placed * (usedMax + 1) + used] ?? 0;
    if (place !== undefined) shares.unshift({ place, layerCount });
    placed -= layerCount;
    if (index < request.workers.length && layerCount > 0) used--;
  }
  return { ms: end.ms, shares };
}

/** What the search knows of a place beside its own figures. */
interface PlaceContext {
  /** Sums of the first 0, 1, 2 … layers. */
  readonly memory: Float64Array;
  readonly active: Float64Array;
  readonly isWorker: boolean;
}

class CostTable {
  readonly #layerCount: number;
  readonly #width: number;
  #ms: Float64Array;

  constructor(layerCount: number, usedMax: number) {
    this.#layerCount = layerCount;
    this.#width = usedMax + 1;
    this.#ms = new Float64Array((layerCount + 1) * this.#width).fill(Infinity);
    this.#ms[0] = 0;
  }

  /** Lets a place take any number of the next layers. Returns how many it took, by where it ended. */
  addPlace(place: LayerPlace, context: PlaceContext): Uint16Array {
    const next = this.#ms.slice();
    const taken = new Uint16Array(next.length);
    const step = context.isWorker ? 1 : 0;
    for (let placed = 0; placed < this.#layerCount; placed++) {
      for (let used = 0; used + step < this.#width; used++) {
        const ms = this.#ms[placed * this.#width + used] ?? Infinity;
        if (ms === Infinity) continue;
        this.#extend({ place, context, placed, used: used + step, ms, next, taken });
      }
    }
    this.#ms = next;
    return taken;
  }

  #extend(from: {
    readonly place: LayerPlace;
    readonly context: PlaceContext;
    readonly placed: number;
    readonly used: number;
    readonly ms: number;
    readonly next: Float64Array;
    readonly taken: Uint16Array;
  }): void {
    const { place, placed, used, next, taken } = from;
    const { memory, active } = from.context;
    const memoryBefore = memory[placed] ?? 0;
    const activeBefore = active[placed] ?? 0;
    for (let end = placed + 1; end <= this.#layerCount; end++) {
      if ((memory[end] ?? Infinity) - memoryBefore > place.roomBytes) return;
      const ms = from.ms + place.linkMs + ((active[end] ?? 0) - activeBefore) / place.bytesPerMs;
      const index = end * this.#width + used;
      if (ms >= (next[index] ?? 0)) continue;
      next[index] = ms;
      taken[index] = end - placed;
    }
  }

  /** Where all layers are placed for the least time, the fewest workers first. */
  cheapestEnd(usedMin: number) {
    let best: { readonly placed: number; readonly used: number; readonly ms: number } | undefined;
    for (let used = usedMin; used < this.#width; used++) {
      const ms = this.#ms[this.#layerCount * this.#width + used] ?? Infinity;
      if (ms < (best?.ms ?? Infinity)) best = { placed: this.#layerCount, used, ms };
    }
    return best;
  }
}

function sumsOf(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (const [index, value] of values.entries()) sums[index + 1] = (sums[index] ?? 0) + value;
  return sums;
}
