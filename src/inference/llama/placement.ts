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
}

/** What of the facts tells where memory is taken. */
export type PlacedFacts = Pick<
  LoadedFacts,
  "memoryBytes" | "hostMemoryBytes" | "deviceMemoryBytes" | "devices"
>;

/**
 * Chooses devices and layers as the settings wish: with -1 as many as fit into what the devices' budgets leave beside the KV
 * cache and what computing takes.
 *
 * @throws UnavailableError `load_failed` where a device is gone.
 */
export async function placeModel(
  llama: Llama,
  settings: LoadSettings,
  contextParams: Uint8Array<ArrayBuffer>,
): Promise<Placement> {
  const modelParams = asBytes(llama.call.llama_model_default_params());
  // Over several nodes layers lie in the memory of each.
  const isHere = settings.shards === undefined && settings.gpuLayers !== 0;
  const wished = isHere ? wishedDevices(llama, settings) : [];
  const pointers = new BigUint64Array(new ArrayBuffer(8 * (wished.length + 1)));
  for (const [index, { gpu }] of wished.entries()) {
    pointers[index] = BigInt(Deno.UnsafePointer.value(gpu.pointer));
  }
  // Without this list llama.cpp computes long prompts on a device that no layer lies on.
  if (llama.gpus.length > 0) MODEL_PARAMS.set(modelParams, "devices", addressOf(pointers));
  MODEL_PARAMS.set(modelParams, "gpuLayers", wished.length === 0 ? 0 : settings.gpuLayers);
  const gpus = wished.map(({ gpu }) => gpu);
  const kept = [pointers];
  if (wished.length === 0) return { modelParams, gpus, kept, plan: undefined };
  const plan = MemoryPlan.open(llama.folder);
  if (settings.gpuLayers > 0 && wished.length > 1) {
    plan.split(modelParams, wished.map(({ budgetBytes }) => budgetBytes));
  }
  if (settings.gpuLayers < 0) {
    const devices = wished.map(({ gpu, budgetBytes }) => ({ ...gpu.memory(), budgetBytes }));
    const load = { modelPath: settings.modelPath, modelParams, contextParams };
    // A file that is damaged is told when it is loaded. Without a layer there, computing would take of a device all the same.
    if (!await plan.fit(load, devices) || MODEL_PARAMS.get(modelParams, "gpuLayers") === 0) {
      return await placeModel(llama, { ...settings, gpuLayers: 0 }, contextParams);
    }
  }
  return { modelParams, gpus, kept, plan };
}

/** Where layers are computed: `cpu`, or each device and how many lie there; -1 = all. */
export function placeOf({ gpus, modelParams }: Placement): string {
  if (gpus.length === 0) return "cpu";
  const devices = gpus.map((gpu) => gpu.facts().description).join("+");
  return `${devices}=${MODEL_PARAMS.get(modelParams, "gpuLayers")}`;
}

/** What a loaded model takes of each device and of the machine's own memory. */
export async function measurePlacement(
  { gpus, plan, modelParams }: Placement,
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
  const hostAlone = Math.max(loaded.weightsBytes, loaded.grownBytes);
  if (plan === undefined) return { memoryBytes: hostAlone, deviceMemoryBytes: 0 };
  const { devices, host } = await plan.measure({ ...loaded, modelParams });
  const rows = gpus.map((gpu, index) => ({
    name: gpu.name,
    bytes: bytesOf(devices[index]),
    freeBytes: gpu.memory().freeBytes,
  }));
  const deviceMemoryBytes = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  const hostMemoryBytes = bytesOf(host);
  const layers = MODEL_PARAMS.get(modelParams, "gpuLayers");
  // As with Ollama, a model is whole on its devices though its token embeddings are looked up in the machine's memory.
  const isWhole = (layers < 0 || layers > loaded.layerCount) && host.contextBytes === 0 &&
    MODEL_PARAMS.get(modelParams, "tensorBufferOverrides") === 0;
  const memoryBytes = deviceMemoryBytes + (isWhole ? 0 : hostMemoryBytes);
  return { memoryBytes, hostMemoryBytes, deviceMemoryBytes, devices: rows };
}

interface Wish {
  readonly gpu: Gpu;
  readonly budgetBytes: number;
}

function wishedDevices(llama: Llama, { devices }: LoadSettings): readonly Wish[] {
  if (devices === undefined) {
    return llama.gpus.map((gpu) => ({ gpu, budgetBytes: gpu.memory().freeBytes }));
  }
  return devices.map(({ name, budgetBytes }) => {
    const gpu = llama.gpus.find((one) => one.name === name);
    if (gpu !== undefined) return { gpu, budgetBytes };
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
