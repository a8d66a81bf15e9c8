import { UnavailableError } from "../../base/mod.ts";
import {
  BATCH,
  CONTEXT_PARAMS,
  GGML_BASE_SYMBOLS,
  GGML_SYMBOLS,
  LLAMA_SYMBOLS,
  LLAMA_VERSION,
  MODEL_PARAMS,
} from "./abi.ts";

/** `enum ggml_backend_dev_type`. */
const DEVICE_KINDS_GPU: readonly number[] = [1, 2];

/** The libraries, opened, checked, with all their devices known. One per process. */
export interface Llama {
  readonly call: Deno.DynamicLibrary<typeof LLAMA_SYMBOLS>["symbols"];
  readonly base: Deno.DynamicLibrary<typeof GGML_BASE_SYMBOLS>["symbols"];
  /** `ggml_backend_dev_t` of each device, the CPU's among them. */
  readonly devices: readonly Deno.PointerValue[];
  readonly gpuCount: number;
  /** Free bytes on all GPUs together. */
  deviceBytesFree(): number;
  /** Where the libraries lie. */
  readonly folder: string;
  /** llama.cpp's version, platform and the instruction sets in use. */
  readonly buildText: string;
}

/**
 * Opens the prebuilt libraries and picks the fastest CPU variant this machine can run.
 *
 * @param place Where the libraries lie.
 * @throws UnavailableError `load_failed` when the libraries are missing, or of another release than the struct layouts.
 */
export function openLlama(place: string): Llama {
  const base = Deno.dlopen(findLibrary(place, "ggml-base"), GGML_BASE_SYMBOLS).symbols;
  const ggml = Deno.dlopen(findLibrary(place, "ggml"), GGML_SYMBOLS).symbols;
  const call = Deno.dlopen(findLibrary(place, "llama"), LLAMA_SYMBOLS).symbols;
  refuseOtherLayouts(call);
  ggml.ggml_backend_load_all_from_path(cText(place));
  call.llama_backend_init();
  const devices = Array.from(
    { length: Number(ggml.ggml_backend_dev_count()) },
    (_, index) => ggml.ggml_backend_dev_get(BigInt(index)),
  );
  const gpus = devices.filter((device) =>
    DEVICE_KINDS_GPU.includes(base.ggml_backend_dev_type(device))
  );
  const features = [...readText(call.llama_print_system_info()).matchAll(/(\w+) = 1/g)]
    .map((match) => match[1]).join(",");
  return {
    call,
    base,
    devices,
    folder: place,
    gpuCount: gpus.length,
    deviceBytesFree() {
      const free = new BigUint64Array(1);
      const total = new BigUint64Array(1);
      return gpus.reduce((sum, device) => {
        base.ggml_backend_dev_memory(device, free, total);
        return sum + Number(free[0]);
      }, 0);
    },
    buildText: `llama.cpp-${LLAMA_VERSION}/${Deno.build.os}-${Deno.build.arch}/${features}`,
  };
}

/** A NUL-terminated copy, as C wants it. */
export function cText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** The text behind a `const char *`; "" for NULL. */
export function readText(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : new Deno.UnsafePointerView(pointer).getCString();
}

/** The path of a library; GPU packages put the backend's name between its name and the release. undefined = it isn't there. */
export function libraryPath(folder: string, name: string): string | undefined {
  const release = LLAMA_VERSION.replaceAll(".", "\\.");
  const pattern = new RegExp(`^(lib)?${name}(\\.[a-z]+)?(\\.v${release})?\\.(so|dylib|dll)$`);
  for (const { name: file } of Deno.readDirSync(folder)) {
    if (pattern.test(file)) return `${folder}/${file}`;
  }
  return undefined;
}

function findLibrary(folder: string, name: string): string {
  const path = libraryPath(folder, name);
  if (path !== undefined) return path;
  throw new UnavailableError(
    "load_failed",
    `Cannot load llama.cpp: there is no ${name} ${LLAMA_VERSION} library in ${folder}`,
  );
}

/** A struct of another shape would corrupt memory silently, hence this check before anything else is called. */
function refuseOtherLayouts(call: Llama["call"]): void {
  const version = readText(call.llama_version());
  const differences = [
    ...MODEL_PARAMS.differences(call.llama_model_default_params()),
    ...CONTEXT_PARAMS.differences(call.llama_context_default_params()),
    ...BATCH.differences(call.llama_batch_get_one(null, 7)),
  ];
  if (version.startsWith(LLAMA_VERSION) && differences.length === 0) return;
  throw new UnavailableError(
    "load_failed",
    `Cannot drive this libllama: the struct layouts are those of ${LLAMA_VERSION}, the library is ${version}` +
      (differences.length === 0 ? "" : ` (${differences.join("; ")})`),
  );
}
