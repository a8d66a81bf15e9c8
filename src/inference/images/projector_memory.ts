import { cText, type Llama, MTMD_PARAMS, openMtmd, type ProjectorShare } from "../llama/mod.ts";

/**
 * What a projector takes with the buffers for the largest image that it is made for, before anything of it is loaded.
 *
 * @param device Where it shall lie; null = in the machine's memory.
 * @returns Nothing where it can't be used: whoever opens it is told why.
 */
export async function measureProjector(
  llama: Llama,
  { ownNativeFolder, projectorPath }: {
    readonly ownNativeFolder: string;
    readonly projectorPath: string;
  },
  device: Deno.PointerValue,
): Promise<ProjectorShare> {
  const [deviceBytes, hostBytes] = [counter(), counter()];
  try {
    const call = openMtmd(llama, ownNativeFolder);
    const params = new Uint8Array(call.mtmd_context_params_default());
    MTMD_PARAMS.set(params, "useGpu", device !== null);
    MTMD_PARAMS.set(params, "device", Deno.UnsafePointer.value(device));
    const path = cText(projectorPath);
    await call.odist_mtmd_memory_later(path, params, deviceBytes, hostBytes);
  } catch {
    // Opening it fails likewise, and tells.
  }
  return { deviceBytes: valueOf(deviceBytes), hostBytes: valueOf(hostBytes) };
}

function counter(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(8));
}

function valueOf(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(new BigUint64Array(bytes.buffer)[0]);
}
