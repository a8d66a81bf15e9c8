import { UnavailableError } from "../../base/mod.ts";
import { addressOf, cText, type Llama, MODEL_PARAMS, openRpc } from "../llama/mod.ts";
import type { LoadedFacts, ShardSettings, WorkerSettings } from "../../protocol/mod.ts";

/** llama.cpp reads a figure for each device that there could be, however few there are: `llama_max_devices()`. */
const SPLIT_FLOATS = 16;
/** `enum ggml_backend_dev_type`. */
const CPU_DEVICE = 0;
const LOOPBACK = "127.0.0.1";

type OwnPlaced = Pick<
  LoadedFacts,
  "memoryBytes" | "hostMemoryBytes" | "deviceMemoryBytes" | "devices"
>;

/** What model parameters point at while a model is loaded; the caller keeps it referenced so long. */
export interface ShardDevices {
  readonly devices: BigUint64Array<ArrayBuffer>;
  readonly split: Float32Array<ArrayBuffer>;
}

/**
 * Connects to the workers. llama.cpp aborts the process where one refuses, and waits for ever for a busy one: who waits for
 * this runner has to give it up.
 *
 * @param ownNativeFolder Where libggml-rpc lies; "" = there is none.
 * @throws UnavailableError `load_failed` without the library, or when a worker has other devices than one.
 */
export async function connectWorkers(
  llama: Llama,
  ownNativeFolder: string,
  shards: ShardSettings,
): Promise<ShardDevices> {
  const rpc = openRpc(llama, ownNativeFolder);
  const devices: bigint[] = [];
  for (const port of shards.ports) {
    const registry = await rpc.ggml_backend_rpc_add_server(cText(`${LOOPBACK}:${port}`));
    const count = registry === null ? 0n : llama.base.ggml_backend_reg_dev_count(registry);
    if (count !== 1n) {
      throw new UnavailableError("load_failed", `A worker has ${count} devices: wanted is 1`);
    }
    llama.ggml.ggml_backend_register(registry);
    devices.push(pointerValue(llama.base.ggml_backend_reg_dev_get(registry, 0n)));
  }
  devices.push(pointerValue(cpuOf(llama)));
  // The last device computes the output layer: its figures stay here.
  if (shards.ownDevice !== undefined) {
    devices.push(pointerValue(gpuOf(llama, shards.ownDevice.name)));
  }
  return { devices: list([...devices, 0n]), split: splitOf(shards) };
}

/** What of a model lies on a device of the leader's own, as it was planned. */
export function withOwnDevice(
  placed: OwnPlaced,
  { gpus }: Pick<Llama, "gpus">,
  { ownDevice }: Pick<ShardSettings, "ownDevice">,
): OwnPlaced {
  const gpu = gpus.find(({ name }) => name === ownDevice?.name);
  if (ownDevice === undefined || gpu === undefined) return placed;
  const { name, bytes } = ownDevice;
  return {
    memoryBytes: placed.memoryBytes + bytes,
    hostMemoryBytes: placed.memoryBytes,
    deviceMemoryBytes: bytes,
    devices: [{ name, bytes, freeBytes: gpu.memory().freeBytes }],
  };
}

/** Tells llama.cpp which layers lie where. */
export function setShards(params: Uint8Array<ArrayBuffer>, { devices, split }: ShardDevices): void {
  MODEL_PARAMS.set(params, "devices", addressOf(devices));
  MODEL_PARAMS.set(params, "tensorSplit", addressOf(split));
  MODEL_PARAMS.set(params, "gpuLayers", -1);
}

/**
 * Serves the devices of this process to one runner at a time; never resolves but with a failure, as when the port is taken.
 * What llama.cpp keeps referenced lives as long.
 */
export async function serveWorker(
  llama: Llama,
  ownNativeFolder: string,
  options: WorkerSettings & { readonly threads: number },
): Promise<never> {
  const rpc = openRpc(llama, ownNativeFolder);
  const endpoint = cText(`${LOOPBACK}:${options.port}`);
  const { device } = options;
  const computing = device === undefined ? cpuOf(llama) : gpuOf(llama, device.name);
  const devices = list([pointerValue(computing)]);
  // Without llama.cpp's own cache, which checks nothing of what it reads.
  await rpc.ggml_backend_rpc_start_server(endpoint, null, BigInt(options.threads), 1n, devices);
  throw new UnavailableError("load_failed", `Port ${options.port} can't be listened at`);
}

/** llama.cpp gives a layer to the first device whose part of the whole ends behind it; halves keep roundings away. */
export function splitOf(
  { workerLayers, ownLayers, ownDevice }: Pick<
    ShardSettings,
    "workerLayers" | "ownLayers" | "ownDevice"
  >,
): Float32Array<ArrayBuffer> {
  const split = new Float32Array(new ArrayBuffer(SPLIT_FLOATS * Float32Array.BYTES_PER_ELEMENT));
  const onCores = ownLayers - (ownDevice?.layers ?? 0);
  const own = ownDevice === undefined ? [onCores + 1] : [onCores, ownDevice.layers + 1];
  const shares = [...workerLayers, ...own];
  split.set(shares);
  split[0] = (split[0] ?? 0) - 0.5;
  split[shares.length - 1] = (split[shares.length - 1] ?? 0) + 0.5;
  return split;
}

/** With a buffer of its own, as llama.cpp reads it later: V8 moves small arrays. */
function list(values: readonly bigint[]): BigUint64Array<ArrayBuffer> {
  const bytes = new ArrayBuffer(values.length * BigUint64Array.BYTES_PER_ELEMENT);
  const array = new BigUint64Array(bytes);
  array.set(values);
  return array;
}

function cpuOf({ devices, base }: Llama): Deno.PointerValue {
  const cpu = devices.find((device) => base.ggml_backend_dev_type(device) === CPU_DEVICE);
  if (cpu === undefined) throw new UnavailableError("load_failed", "llama.cpp finds no processor");
  return cpu;
}

function gpuOf({ gpus }: Llama, name: string): Deno.PointerValue {
  const gpu = gpus.find((other) => other.name === name);
  if (gpu === undefined) throw new UnavailableError("load_failed", `There is no device ${name}`);
  return gpu.pointer;
}

function pointerValue(pointer: Deno.PointerValue): bigint {
  return pointer === null ? 0n : Deno.UnsafePointer.value(pointer);
}
