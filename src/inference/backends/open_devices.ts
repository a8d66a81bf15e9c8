import { errorMessage } from "../../base/mod.ts";
import type { Devices, Log } from "../../ports/mod.ts";
import type { DeviceFacts } from "../../protocol/mod.ts";
import { nativePackage } from "../launch/mod.ts";
import { probeNatives, type ProbeStart } from "./probe_natives.ts";

/** What looking for devices takes. */
export interface OpenDevicesOptions extends ProbeStart {
  /** Where runners find llama.cpp's libraries; undefined = in this platform's package. */
  readonly nativeFolder: string | undefined;
  /** Whether a device is one to compute on, by its name. */
  readonly uses: (device: string) => boolean;
  /** Devices that are to be there: whoever named one is told where it isn't. */
  readonly named: readonly string[];
  readonly log: Log;
}

/** The devices of this machine, as a runner process sees them. */
export function openDevices(options: OpenDevicesOptions): Devices {
  let devices: readonly DeviceFacts[] = [];
  let looking: Promise<void> | undefined;
  const look = async () => {
    devices = await find(options);
    looking = undefined;
  };
  return {
    list: () => devices,
    look: () => looking ??= look(),
  };
}

async function find(options: OpenDevicesOptions): Promise<readonly DeviceFacts[]> {
  const { log } = options;
  if (!drivesDevices(options.nativeFolder)) return [];
  try {
    const { devices, unusable } = await probeNatives(options);
    for (const { library, reason } of unusable) {
      log.log("warn", "device_unusable", { library, reason });
    }
    const present = devices.map(({ name }) => name);
    for (const wanted of options.named.filter((name) => !present.includes(name))) {
      log.log("warn", "device_missing", { wanted, present: present.join(", ") || "none" });
    }
    const used = devices.filter(({ name }) => options.uses(name));
    for (const { name, description, totalBytes, driver } of used) {
      log.log("info", "device_found", { name, description, totalBytes, driver });
    }
    return used;
  } catch (error) {
    log.log("warn", "devices_unknown", { reason: errorMessage(error) });
    return [];
  }
}

/** Whether it is worth a process to look: most machines' libraries are for their cores alone. */
function drivesDevices(folder: string | undefined): boolean {
  if (folder === undefined) return nativePackage().endsWith("-metal");
  try {
    return [...Deno.readDirSync(folder)].some(({ name }) =>
      /ggml-(cuda|metal|vulkan)\./.test(name)
    );
  } catch {
    return false; // A runner will say what is wrong with it.
  }
}
