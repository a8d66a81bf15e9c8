import { estimateMemoryBytes, memoryParts, type MemoryShape } from "./memory.ts";

/** A device's memory as a place for layers. */
export interface DeviceRoom {
  /** Unique on its node. */
  readonly name: string;
  /** What models may take there, those that are loaded counted in; bytes. */
  readonly roomBytes: number;
  /** Whether it is the machine's own memory. */
  readonly isShared: boolean;
  /** What it gets of the layers in proportion to the others, >= 0; absent of all = as they fit. */
  readonly share?: number;
}

/** What is to be placed. */
export interface DeviceWish {
  readonly shape: MemoryShape;
  /** Layers on devices; -1 = as many as fit, 0 = none. */
  readonly gpuLayers: number;
  /** Index of the device that the model would rather have alone; absent = any. */
  readonly mainGpu?: number;
}

/** Where a model would lie. */
export interface DevicePlan {
  /**
   * In the order of the layers; [] = the cores alone. `budgetBytes` is what the model may take, `bytes` what it will, `layers`
   * how many lie there, the output layer counted as one; absent = as many as fit.
   */
  readonly devices: readonly {
    readonly name: string;
    readonly budgetBytes: number;
    readonly bytes: number;
    readonly layers?: number;
  }[];
  /** Layers that lie there, the output layer counted as one. */
  readonly layerCount: number;
  /** Of the machine's own memory. */
  readonly hostBytes: number;
}

interface Sizes {
  /** A layer with its part of the KV cache. */
  readonly layerBytes: number;
  readonly outputBytes: number;
  /** On each device that computes a layer. */
  readonly computeBytes: number;
  /** Of the machine's own memory, whatever lies on devices. */
  readonly hostBytes: number;
  /** On one device, or in the machine's own memory. */
  readonly projectorBytes: number;
  /** As {@link hostBytes}, where the output is computed there. */
  readonly logitsBytes: number;
}

/** A projector that would leave less of a device to the layers stays in the machine's memory. */
const PROJECTOR_FRACTION_MAX = 0.5;
/** Elements of matrices that no block has are mostly kept in eight bits. */
const OUTER_ELEMENT_BYTES = 34 / 32;

/**
 * Where the layers of a model go: all of them to one device, the main one before the one with the most room, if they fit;
 * otherwise as many as fit to all devices. Where somebody shared the devices out, each gets its part, unless the model has a main one. Sizes are estimates from the shape of the model; what is really loaded, llama.cpp
 * plans within the budgets, which are all that is free.
 *
 * @param rooms What is free of each device; bytes may be negative.
 */
export function planDevices(wish: DeviceWish, rooms: readonly DeviceRoom[]): DevicePlan {
  const { blockCount } = wish.shape;
  const none = { devices: [], layerCount: 0, hostBytes: estimateMemoryBytes(wish.shape) };
  const wanted = wish.gpuLayers < 0 ? blockCount + 1 : Math.min(wish.gpuLayers, blockCount + 1);
  if (wanted === 0 || rooms.length === 0) return none;
  const sizes = sizesOf(wish.shape);
  if (wish.mainGpu === undefined && rooms.some(({ share = 0 }) => share > 0)) {
    const isFixed = wish.gpuLayers >= 0;
    return shareOut(sizes, { wanted, blockCount, rooms, isFixed }) ?? none;
  }
  const alone = inOrderOfChoice(rooms, wish.mainGpu)
    .map((room) => spread(sizes, { wanted, blockCount, rooms: [room] }))
    .find(({ layerCount }) => layerCount === wanted);
  const plan = alone ?? spread(sizes, { wanted, blockCount, rooms });
  // A number means that number, whatever is thought of it.
  return plan.layerCount === 0 && wish.gpuLayers < 0 ? none : plan;
}

function sizesOf(shape: MemoryShape): Sizes {
  const { weightsBytes, kvBytes, logitsBytes, computeBytes, ...others } = memoryParts(shape);
  const outerBytes = Math.min(
    shape.vocabularyTokens * shape.embeddingLength * OUTER_ELEMENT_BYTES,
    weightsBytes / 2,
  );
  return {
    layerBytes: (weightsBytes - outerBytes + kvBytes) / shape.blockCount,
    outputBytes: outerBytes + logitsBytes,
    computeBytes,
    hostBytes: others.processBytes + outerBytes + computeBytes,
    projectorBytes: others.projectorBytes,
    logitsBytes,
  };
}

/** As many layers as fit where each device gets its part of them; undefined = none. */
function shareOut(
  sizes: Sizes,
  by: {
    readonly wanted: number;
    readonly blockCount: number;
    readonly rooms: readonly DeviceRoom[];
    /** So many, whether they fit or not. */
    readonly isFixed: boolean;
  },
): DevicePlan | undefined {
  const rooms = by.rooms.filter(({ share = 0 }) => share > 0);
  for (let layerCount = by.wanted; layerCount > 0; layerCount--) {
    const counts = countsOf(rooms, layerCount);
    const plan = layOut(sizes, { rooms, counts, blockCount: by.blockCount });
    const fits = plan.devices.every(({ bytes, budgetBytes }) => bytes <= budgetBytes);
    if (fits || by.isFixed) return plan;
  }
  return undefined;
}

/** Whole layers: each device ends where its part of all of them does. */
function countsOf(rooms: readonly DeviceRoom[], layerCount: number): readonly number[] {
  const sum = rooms.reduce((total, { share = 0 }) => total + share, 0);
  let [given, share] = [0, 0];
  return rooms.map((room) => {
    share += room.share ?? 0;
    const end = Math.round((share / sum) * layerCount);
    const count = end - given;
    given = end;
    return count;
  });
}

function layOut(
  sizes: Sizes,
  by: {
    readonly rooms: readonly DeviceRoom[];
    readonly counts: readonly number[];
    readonly blockCount: number;
  },
): DevicePlan {
  const layerCount = by.counts.reduce((sum, count) => sum + count, 0);
  const last = by.counts.findLastIndex((count) => count > 0);
  const used = by.rooms.filter((_, index) => (by.counts[index] ?? 0) > 0);
  const seat = used.toSorted((a, b) => b.roomBytes - a.roomBytes)[0];
  const isSeated = sizes.projectorBytes <= (seat?.roomBytes ?? 0) * PROJECTOR_FRACTION_MAX;
  let sharedBytes = 0;
  const devices = by.rooms.flatMap((room, index) => {
    const layers = by.counts[index] ?? 0;
    if (layers === 0) return [];
    const blocks = index === last ? layers - 1 : layers;
    const bytes = sizes.computeBytes + blocks * sizes.layerBytes +
      (index === last ? sizes.outputBytes : 0) +
      (isSeated && room === seat ? sizes.projectorBytes : 0);
    if (room.isShared) sharedBytes += bytes;
    const budgetBytes = Math.max(0, Math.floor(room.roomBytes));
    return [{ name: room.name, budgetBytes, bytes: Math.ceil(bytes), layers }];
  });
  const blocksHere = by.blockCount - (layerCount - 1);
  const hostBytes = sizes.hostBytes + blocksHere * sizes.layerBytes + sharedBytes +
    (isSeated ? 0 : sizes.projectorBytes);
  return { devices, layerCount, hostBytes: Math.ceil(hostBytes) };
}

/** The main one first, then those with the most room. */
function inOrderOfChoice(
  rooms: readonly DeviceRoom[],
  mainGpu: number | undefined,
): readonly DeviceRoom[] {
  const main = mainGpu === undefined ? undefined : rooms[mainGpu];
  const others = rooms.filter((room) => room !== main)
    .toSorted((a, b) => b.roomBytes - a.roomBytes);
  return main === undefined ? others : [main, ...others];
}

/**
 * The last device takes the output layer first, as llama.cpp has it, and the one with the most room the projector; whatever is
 * left stays with the cores.
 */
function spread(
  sizes: Sizes,
  by: {
    readonly wanted: number;
    readonly blockCount: number;
    readonly rooms: readonly DeviceRoom[];
  },
): DevicePlan {
  let layerCount = 0;
  let sharedBytes = 0;
  const seat = by.rooms.toSorted((a, b) => b.roomBytes - a.roomBytes)[0];
  const isSeated = sizes.projectorBytes <= (seat?.roomBytes ?? 0) * PROJECTOR_FRACTION_MAX;
  const devices = by.rooms.toReversed().map((room) => {
    const { name, roomBytes, isShared } = room;
    const atFirst = isSeated && room === seat ? sizes.projectorBytes : 0;
    let bytes = atFirst;
    while (layerCount < by.wanted) {
      const unit = layerCount === 0 ? sizes.outputBytes : sizes.layerBytes;
      const next = bytes + (bytes === atFirst ? sizes.computeBytes : 0) + unit;
      if (next > roomBytes) break;
      bytes = next;
      layerCount++;
    }
    if (isShared) sharedBytes += bytes;
    return { name, budgetBytes: Math.max(0, Math.floor(roomBytes)), bytes: Math.ceil(bytes) };
  }).toReversed();
  const blocksHere = by.blockCount - Math.max(0, layerCount - 1);
  const outputHere = layerCount === 0 ? sizes.logitsBytes : 0;
  const eyeHere = isSeated ? 0 : sizes.projectorBytes;
  const hostBytes = sizes.hostBytes + outputHere + blocksHere * sizes.layerBytes + sharedBytes +
    eyeHere;
  return { devices, layerCount, hostBytes: Math.ceil(hostBytes) };
}
