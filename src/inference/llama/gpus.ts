import type { DeviceFacts } from "../../protocol/mod.ts";
import type { GGML_BASE_SYMBOLS } from "./abi.ts";
import { readText } from "./struct.ts";

/** `enum ggml_backend_dev_type`, as far as it means something with a memory or an engine of its own. */
const GPU_KINDS: Readonly<Record<number, string>> = { 1: "gpu", 2: "igpu" };
/** What ggml's Vulkan says of a device: its number, its name, its driver. */
const VULKAN_DEVICE = /^ggml_vulkan: (\d+) = .* \((.*?)\) \| uma/;
const NVIDIA_VERSION_FILE = "/proc/driver/nvidia/version";

type GgmlBase = Deno.DynamicLibrary<typeof GGML_BASE_SYMBOLS>["symbols"];

/** A device with an engine of its own. */
export interface Gpu {
  /** `ggml_backend_dev_t`. */
  readonly pointer: Deno.PointerValue;
  /** Such as `CUDA0`. */
  readonly name: string;
  /** Of the driver's own account; a driver without one says that all is free. */
  memory(): { readonly freeBytes: number; readonly totalBytes: number };
  facts(): DeviceFacts;
}

/** Those of the devices that have an engine of their own. `said` is what ggml wrote while it found them. */
export function listGpus(
  base: GgmlBase,
  devices: readonly Deno.PointerValue[],
  said: readonly string[],
): readonly Gpu[] {
  return devices.flatMap((pointer): Gpu[] => {
    const kind = GPU_KINDS[base.ggml_backend_dev_type(pointer)];
    if (kind === undefined) return [];
    const name = readText(base.ggml_backend_dev_name(pointer));
    const description = readText(base.ggml_backend_dev_description(pointer));
    const memory = () => {
      const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
      base.ggml_backend_dev_memory(pointer, free, total);
      return { freeBytes: Number(free[0]), totalBytes: Number(total[0]) };
    };
    const driver = driverOf(name, said);
    return [{
      pointer,
      name,
      memory,
      facts: () => ({ name, description, kind, driver, ...memory() }),
    }];
  });
}

/** Drivers are ggml's business alone: what it says of them, or the system. "" where neither does. */
function driverOf(name: string, said: readonly string[]): string {
  if (name.startsWith("CUDA")) return nvidiaVersion();
  for (const line of said) {
    const [, index, driver = ""] = VULKAN_DEVICE.exec(line) ?? [];
    if (name === `Vulkan${index}`) return driver;
  }
  return "";
}

function nvidiaVersion(): string {
  try {
    const text = Deno.readTextFileSync(NVIDIA_VERSION_FILE);
    const [, version] = /^NVRM version:.*?\s(\d+(?:\.\d+)+)\s/m.exec(text) ?? [];
    return version === undefined ? "" : `nvidia ${version}`;
  } catch {
    return ""; // Another system, or a runner that may not read it.
  }
}
