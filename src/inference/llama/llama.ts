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
import { type Gpu, listGpus } from "./gpus.ts";
import { cText, readText } from "./struct.ts";

/** The libraries, opened, checked, with all their devices known. One per process. */
export interface Llama {
  readonly call: Deno.DynamicLibrary<typeof LLAMA_SYMBOLS>["symbols"];
  readonly ggml: Deno.DynamicLibrary<typeof GGML_SYMBOLS>["symbols"];
  readonly base: Deno.DynamicLibrary<typeof GGML_BASE_SYMBOLS>["symbols"];
  /** `ggml_backend_dev_t` of each device, the CPU's among them. */
  readonly devices: readonly Deno.PointerValue[];
  /** Those with an engine of their own, in the same order. */
  readonly gpus: readonly Gpu[];
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
  const said = heeding(base, () => ggml.ggml_backend_load_all_from_path(cText(place)));
  call.llama_backend_init();
  const devices = Array.from(
    { length: Number(ggml.ggml_backend_dev_count()) },
    (_, index) => ggml.ggml_backend_dev_get(BigInt(index)),
  );
  const features = [...readText(call.llama_print_system_info()).matchAll(/(\w+) = 1/g)]
    .map((match) => match[1]).join(",");
  return {
    call,
    ggml,
    base,
    devices,
    folder: place,
    gpus: listGpus(base, devices, said),
    buildText: `llama.cpp-${LLAMA_VERSION}/${Deno.build.os}-${Deno.build.arch}/${features}`,
  };
}

/** Lines that ggml writes during `action`; they go to standard error all the same. */
function heeding(base: Llama["base"], action: () => void): readonly string[] {
  const said: string[] = [];
  const hear = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "void" },
    (_level, text) => {
      said.push(readText(text));
      Deno.stderr.writeSync(new TextEncoder().encode(said.at(-1)));
    },
  );
  base.ggml_log_set(hear.pointer, null);
  action();
  base.ggml_log_set(null, null);
  hear.close();
  return said;
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
