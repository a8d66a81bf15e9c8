import { UnavailableError } from "../../base/mod.ts";
import type { LoadedFacts, LoadSettings } from "../../protocol/mod.ts";
import { MODEL_PARAMS } from "./abi.ts";
import type { Gpu } from "./gpus.ts";
import type { Llama } from "./llama.ts";
import { MemoryPlan } from "./memory_plan.ts";
import { addressOf, asBytes } from "./struct.ts";

/** Where a model's layers go. */
export interface Placement {
  /** `llama_model_params` that say so; they point into this placement, which must live until the model is loaded. */
  readonly modelParams: Uint8Array<ArrayBuffer>;
  /** In the order of the layers; [] = the cores alone. */
  readonly gpus: readonly Gpu[];
  /** Whatever the parameters point at. */
  readonly kept: readonly unknown[];
  readonly plan: MemoryPlan | undefined;
  /** Where the projector goes; undefined = in the machine's memory, or there is none. */
  readonly projectorGpu: Gpu | undefined;
  /** What it takes. */
  readonly projectorShare: ProjectorShare;
}

/** Bytes of a projector and its buffers. */
export interface ProjectorShare {
  /** Of the device that was asked for. */
  readonly deviceBytes: number;
  readonly hostBytes: number;
}

/** What is placed besides what the settings say. */
export interface PlacedParts {
  /** `llama_context_params`. */
  readonly contextParams: Uint8Array<ArrayBuffer>;
  /** What the model's projector takes with such a device, null = without one; undefined = it has none. */
  readonly measureProjector?:
    | ((device: Deno.PointerValue) => Promise<ProjectorShare>)
    | undefined;
}

/** A projector that would leave less of a device to the layers stays in the machine's memory. */
const PROJECTOR_FRACTION_MAX = 0.5;

/** What of the facts tells where memory is taken. */
export type PlacedFacts = Pick<
  LoadedFacts,
  "memoryBytes" | "hostMemoryBytes" | "deviceMemoryBytes" | "devices"
>;

/**
 * Chooses devices and layers as the settings wish: with -1 as many as fit into what the devices' budgets leave beside the
 * projector, the KV cache and what computing takes.
 *
 * @throws UnavailableError `load_failed` where a device is gone.
 */
export async function placeModel(
  llama: Llama,
  settings: LoadSettings,
  parts: PlacedParts,
): Promise<Placement> {
  const modelParams = asBytes(llama.call.llama_model_default_params());
  // Over several nodes layers lie in the memory of each.
  const isHere = settings.shards === undefined && settings.gpuLayers !== 0;
  const all = isHere ? wishedDevices(llama, settings) : [];
  const { wished, ...projector } = await placeProjector(all, parts.measureProjector);
  const pointers = new BigUint64Array(new ArrayBuffer(8 * (wished.length + 1)));
  for (const [index, { gpu }] of wished.entries()) {
    pointers[index] = BigInt(Deno.UnsafePointer.value(gpu.pointer));
  }
  // Without this list llama.cpp computes long prompts on a device that no layer lies on.
  if (llama.gpus.length > 0) MODEL_PARAMS.set(modelParams, "devices", addressOf(pointers));
  MODEL_PARAMS.set(modelParams, "gpuLayers", wished.length === 0 ? 0 : settings.gpuLayers);
  const gpus = wished.map(({ gpu }) => gpu);
  const kept = [pointers];
  if (wished.length === 0) return { modelParams, gpus, kept, plan: undefined, ...projector };
  const plan = MemoryPlan.open(llama.folder);
  const counts = wished.flatMap(({ layers }) => layers ?? []);
  if (counts.length === wished.length) {
    plan.split(modelParams, sharesOf(counts));
    MODEL_PARAMS.set(modelParams, "gpuLayers", counts.reduce((sum, count) => sum + count, 0));
    return { modelParams, gpus, kept, plan, ...projector };
  }
  if (settings.gpuLayers > 0 && wished.length > 1) {
    plan.split(modelParams, wished.map(({ budgetBytes }) => budgetBytes));
  }
  if (settings.gpuLayers < 0) {
    const devices = wished.map(({ gpu, budgetBytes }) => ({ ...gpu.memory(), budgetBytes }));
    const load = { modelPath: settings.modelPath, modelParams, ...parts };
    // A file that is damaged is told when it is loaded. Without a layer there, computing would take of a device all the same.
    if (!await plan.fit(load, devices) || MODEL_PARAMS.get(modelParams, "gpuLayers") === 0) {
      return await placeModel(llama, { ...settings, gpuLayers: 0 }, parts);
    }
  }
  return { modelParams, gpus, kept, plan, ...projector };
}

/** The projector lies where there is the most room; what it takes there is nobody else's. */
async function placeProjector(
  wished: readonly Wish[],
  measure: PlacedParts["measureProjector"],
): Promise<Pick<Placement, "projectorGpu" | "projectorShare"> & { readonly wished: Wish[] }> {
  const stays = async () => ({
    wished: [...wished],
    projectorGpu: undefined,
    projectorShare: await measure?.(null) ?? { deviceBytes: 0, hostBytes: 0 },
  });
  const [widest] = wished.toSorted((a, b) => b.budgetBytes - a.budgetBytes);
  if (widest === undefined || measure === undefined) return await stays();
  const projectorShare = await measure(widest.gpu.pointer);
  const { deviceBytes } = projectorShare;
  if (deviceBytes > widest.budgetBytes * PROJECTOR_FRACTION_MAX) return await stays();
  const left = { ...widest, budgetBytes: widest.budgetBytes - deviceBytes };
  return {
    wished: wished.map((wish) => wish === widest ? left : wish),
    projectorGpu: widest.gpu,
    projectorShare,
  };
}

/** Where layers are computed: `cpu`, or each device and how many lie there; -1 = all. */
export function placeOf({ gpus, modelParams }: Placement): string {
  if (gpus.length === 0) return "cpu";
  const devices = gpus.map((gpu) => gpu.facts().description).join("+");
  return `${devices}=${MODEL_PARAMS.get(modelParams, "gpuLayers")}`;
}

/** What a loaded model takes of each device and of the machine's own memory. */
export async function measurePlacement(
  { gpus, plan, modelParams, projectorGpu, projectorShare }: Placement,
  loaded: {
    readonly modelPath: string;
    readonly contextParams: Uint8Array<ArrayBuffer>;
    /** Bytes of the weights, wherever, and how many layers there are. */
    readonly weightsBytes: number;
    readonly layerCount: number;
    /** By how much this process grew. */
    readonly grownBytes: number;
  },
): Promise<PlacedFacts> {
  const hostAlone = Math.max(loaded.weightsBytes + projectorShare.hostBytes, loaded.grownBytes);
  if (plan === undefined) return { memoryBytes: hostAlone, deviceMemoryBytes: 0 };
  const { devices, host } = await plan.measure({ ...loaded, modelParams });
  const rows = gpus.map((gpu, index) => ({
    name: gpu.name,
    bytes: bytesOf(devices[index]) + (gpu === projectorGpu ? projectorShare.deviceBytes : 0),
    freeBytes: gpu.memory().freeBytes,
  }));
  const deviceMemoryBytes = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const hostMemoryBytes = bytesOf(host) + projectorShare.hostBytes;
  const layers = MODEL_PARAMS.get(modelParams, "gpuLayers");
  // As with Ollama, a model is whole on its devices though its token embeddings are looked up in the machine's memory.
  const isEyeThere = projectorShare.hostBytes === 0 || projectorGpu !== undefined;
  const isWhole = isEyeThere && (layers < 0 || layers > loaded.layerCount) &&
    host.contextBytes === 0 &&
    MODEL_PARAMS.get(modelParams, "tensorBufferOverrides") === 0;
  const memoryBytes = deviceMemoryBytes + (isWhole ? 0 : hostMemoryBytes);
  return { memoryBytes, hostMemoryBytes, deviceMemoryBytes, devices: rows };
}

interface Wish {
  readonly gpu: Gpu;
  readonly budgetBytes: number;
  readonly layers?: number | undefined;
}

/** llama.cpp gives a layer to the first device whose part of the whole ends behind it; halves keep roundings away. */
function sharesOf(counts: readonly number[]): readonly number[] {
  const shares = [...counts];
  shares[0] = (shares[0] ?? 0) - 0.5;
  shares[counts.length - 1] = (shares[counts.length - 1] ?? 0) + 0.5;
  return shares;
}

function wishedDevices(llama: Llama, { devices }: LoadSettings): readonly Wish[] {
  if (devices === undefined) {
    return llama.gpus.map((gpu) => ({ gpu, budgetBytes: gpu.memory().freeBytes }));
  }
  return devices.map(({ name, budgetBytes, layers }) => {
    const gpu = llama.gpus.find((one) => one.name === name);
    if (gpu !== undefined) return { gpu, budgetBytes, layers };
    const present = llama.gpus.map((one) => one.name).join(", ") || "none";
    throw new UnavailableError(
      "load_failed",
      `The device ${name} is gone: present ${present}`,
    );
  });
}

function bytesOf(
  share:
    | { readonly modelBytes: number; readonly contextBytes: number; readonly computeBytes: number }
    | undefined,
): number {
  return share === undefined ? 0 : share.modelBytes + share.contextBytes + share.computeBytes;
}
