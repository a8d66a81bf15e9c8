import { RequestError } from "../../base/mod.ts";
import { type AddedBackend, type Backend, BackendFolder, BACKENDS } from "./backend_folder.ts";
import { probeNatives, type ProbeStart } from "./probe_natives.ts";

/** How llama.cpp's names of devices begin, and whose devices those are. */
const PREFIXES: Readonly<Record<string, string>> = {
  CUDA: "cuda",
  Vulkan: "vulkan",
  MTL: "metal",
};

/** Which libraries runners open, and which devices of theirs they use. */
export interface ChosenBackend {
  /** Those that were added; undefined = what odist came with. */
  readonly nativeFolder: string | undefined;
  /** Whether a device is one to compute on, by its name. */
  uses(device: string): boolean;
  /** Devices that were named, each of which is to be there. */
  readonly named: readonly string[];
}

/**
 * What `--gpu` means on this machine: "" and `auto` take the fastest of what was added and can be used, or what odist came
 * with; `off` takes nothing; a backend's name or devices' names take just those.
 *
 * @throws RequestError `invalid_config` where a backend was not added or is set aside.
 */
export function chooseBackend(added: Pick<BackendFolder, "list">, gpu: string): ChosenBackend {
  if (gpu === "off") return { nativeFolder: undefined, uses: () => false, named: [] };
  const usable = added.list().filter(({ state }) => state === "usable");
  if (gpu === "" || gpu === "auto") {
    return { nativeFolder: usable[0]?.folder, uses: () => true, named: [] };
  }
  const wanted = gpu.split(",");
  const backends = new Set(wanted.map(backendOf));
  const [backend = ""] = backends;
  if (backends.size > 1) throw refused(gpu, "one process opens the libraries of one backend");
  const named = wanted.filter((name) => name !== backend);
  const uses = named.length === 0 ? () => true : (name: string) => named.includes(name);
  const own = BACKENDS.find((name) => name === backend);
  // Metal is part of what odist comes with.
  if (own === undefined) return { nativeFolder: undefined, uses, named };
  const found = usable.find((one) => one.backend === own);
  if (found === undefined) throw refused(gpu, whyNot(added.list(), own));
  return { nativeFolder: found.folder, uses, named };
}

/** The libraries that were added below a data folder; `command` starts a runner process. */
export function openBackendFolder(dataFolder: string, start: ProbeStart): BackendFolder {
  return new BackendFolder({
    folder: `${dataFolder}/backends`,
    probe: (nativeFolder) =>
      probeNatives({ ...start, env: { ...start.env, ODIST_NATIVE_DIR: nativeFolder } }),
  });
}

function backendOf(name: string): string {
  const prefix = Object.keys(PREFIXES).find((one) => name.startsWith(one));
  return PREFIXES[prefix ?? ""] ?? name.toLowerCase();
}

function whyNot(added: readonly AddedBackend[], backend: Backend): string {
  const found = added.find((one) => one.backend === backend);
  return found === undefined
    ? `its libraries are not here: odist backend add ${backend}`
    : `its libraries are set aside: ${found.reason}`;
}

function refused(gpu: string, reason: string): RequestError {
  return new RequestError("invalid_config", `--gpu can't be "${gpu}": ${reason}`);
}
