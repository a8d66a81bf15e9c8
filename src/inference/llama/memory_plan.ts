import { MODEL_PARAMS } from "./abi.ts";
import { libraryPath } from "./llama.ts";
import { addressOf, cText } from "./struct.ts";

/** Elements of the buffers that the fit wants; llama.cpp reads all of the first, however few devices there are. */
const SPLIT_DEVICES_MAX = 16;
const OVERRIDES_MAX = 8_192;
/** A pattern and a type of buffer. */
const OVERRIDE_BYTES = 16;
/** Left free where a device has less than was planned; bytes. */
const MARGIN_BYTES_MIN = 32 * 1024 * 1024;
/** `GGML_LOG_LEVEL_ERROR`. */
const LOG_ERRORS = 4;
/** `common_params_fit_status`: what was found fits. */
const FITS = 0;
/** `struct common_device_memory_data`: total, free, and three parts, each of 64 bits. */
const SHARE_WORDS = 5;

/** libllama-common's functions are C++: their names are as each compiler writes them. */
const FIT_ITANIUM =
  "_Z17common_fit_paramsPKcP18llama_model_paramsP20llama_context_paramsPfP32llama_model_tensor_buft_override" +
  "PmjPK22common_fit_extra_model14ggml_log_level";
const MEASURE_ITANIUM =
  "_Z29common_get_device_memory_dataPKcPK18llama_model_paramsPK20llama_context_params";
const NAMES: Readonly<Record<string, { readonly fit: string; readonly measure: string }>> = {
  linux: {
    fit: FIT_ITANIUM,
    measure: `${MEASURE_ITANIUM}RSt6vectorIP19ggml_backend_deviceSaIS9_EERjSD_SD_14ggml_log_level`,
  },
  darwin: {
    fit: FIT_ITANIUM,
    measure:
      `${MEASURE_ITANIUM}RNSt3__16vectorIP19ggml_backend_deviceNS7_9allocatorISA_EEEERjSF_SF_14ggml_log_level`,
  },
  windows: {
    fit: "?common_fit_params@@YA?AW4common_params_fit_status@@PEBDPEAUllama_model_params@@" +
      "PEAUllama_context_params@@PEAMPEAUllama_model_tensor_buft_override@@PEA_KIPEBUcommon_fit_extra_model@@" +
      "W4ggml_log_level@@@Z",
    measure:
      "?common_get_device_memory_data@@YA?AV?$vector@Ucommon_device_memory_data@@V?$allocator@U" +
      "common_device_memory_data@@@std@@@std@@PEBDPEBUllama_model_params@@PEBUllama_context_params@@AEAV?$vector@" +
      "PEAUggml_backend_device@@V?$allocator@PEAUggml_backend_device@@@std@@@2@AEAI44W4ggml_log_level@@@Z",
  },
};

/** What lies where, in bytes. */
interface MemoryShare {
  readonly modelBytes: number;
  /** The KV cache, above all. */
  readonly contextBytes: number;
  readonly computeBytes: number;
}

/** A model and how it is to be loaded. */
export interface PlannedLoad {
  readonly modelPath: string;
  /** `llama_model_params`. */
  readonly modelParams: Uint8Array<ArrayBuffer>;
  /** `llama_context_params`. */
  readonly contextParams: Uint8Array<ArrayBuffer>;
}

/** Names of what is called of libllama-common on a system. */
export function planNames(system: string): { readonly fit: string; readonly measure: string } {
  return NAMES[system] ?? { fit: "", measure: "" };
}

function planSymbols() {
  const { fit, measure } = planNames(Deno.build.os);
  return {
    fit: {
      name: fit,
      parameters: [
        ...["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"] as const,
        ...["u32", "pointer", "i32"] as const,
      ],
      result: "i32",
      nonblocking: true,
    },
    measure: {
      name: measure,
      parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer", "buffer", "i32"],
      // A std::vector: where it begins, ends, and could end.
      result: { struct: ["pointer", "pointer", "pointer"] },
      nonblocking: true,
    },
  } as const satisfies Deno.ForeignLibraryInterface;
}

/** llama.cpp's own planning of memory: it reads a model's header and allocates nothing. */
export class MemoryPlan {
  readonly #call;
  /** What the parameters point at. */
  readonly #split = new Float32Array(new ArrayBuffer(4 * SPLIT_DEVICES_MAX));
  readonly #overrides = new Uint8Array(new ArrayBuffer(OVERRIDES_MAX * OVERRIDE_BYTES));

  private constructor(folder: string) {
    this.#call = Deno.dlopen(libraryPath(folder, "llama-common") ?? "", planSymbols()).symbols;
  }

  /** @throws TypeError where the library is missing or has no such functions. */
  static open(folder: string): MemoryPlan {
    return new MemoryPlan(folder);
  }

  /**
   * Puts as many layers on the devices as fit, the most useful first, into the parameters, which must say -1. They point into
   * this plan: it must live until the model is loaded.
   *
   * @param devices In the order of the parameters' own.
   * @returns Whether it found any way; the parameters are as before where not.
   */
  async fit(
    load: PlannedLoad,
    devices: readonly { readonly freeBytes: number; readonly budgetBytes: number }[],
  ): Promise<boolean> {
    const margins = new BigUint64Array(new ArrayBuffer(8 * SPLIT_DEVICES_MAX));
    for (const [index, { freeBytes, budgetBytes }] of devices.entries()) {
      margins[index] = BigInt(Math.max(MARGIN_BYTES_MIN, Math.floor(freeBytes - budgetBytes)));
    }
    const status = await this.#call.fit(
      cText(load.modelPath),
      load.modelParams,
      load.contextParams,
      new Uint8Array(this.#split.buffer),
      this.#overrides,
      new Uint8Array(margins.buffer),
      0,
      null,
      LOG_ERRORS,
    );
    return status === FITS;
  }

  /** Shares layers out in the proportion of the budgets, where a number of them is wished for. */
  split(modelParams: Uint8Array, budgetsBytes: readonly number[]): void {
    this.#split.set(budgetsBytes);
    MODEL_PARAMS.set(modelParams, "tensorSplit", addressOf(this.#split));
  }

  /**
   * What a model that was loaded so takes: of each of its devices, and of the machine's own memory. Ends the process where the
   * model can't be loaded.
   */
  async measure(
    load: PlannedLoad,
  ): Promise<{ readonly devices: readonly MemoryShare[]; readonly host: MemoryShare }> {
    const modelParams = load.modelParams.slice();
    // It is called no more.
    MODEL_PARAMS.set(modelParams, "progressCallback", 0);
    const vector = await this.#call.measure(
      cText(load.modelPath),
      modelParams,
      load.contextParams,
      new Uint8Array(3 * 8),
      new Uint8Array(4),
      new Uint8Array(4),
      new Uint8Array(4),
      LOG_ERRORS,
    );
    const [begin = 0n, end = 0n] = new BigUint64Array(new Uint8Array(vector).buffer);
    const pointer = Deno.UnsafePointer.create(begin);
    const words = pointer === null ? new BigInt64Array(0) : new BigInt64Array(
      Deno.UnsafePointerView.getArrayBuffer(pointer, Number(end - begin)).slice(0),
    );
    const shares = Array.from({ length: words.length / SHARE_WORDS }, (_, index): MemoryShare => {
      const [, , model = 0n, context = 0n, compute = 0n] = words.subarray(index * SHARE_WORDS);
      return {
        modelBytes: Number(model),
        contextBytes: Number(context),
        computeBytes: Number(compute),
      };
    });
    const host = shares.at(-1) ?? { modelBytes: 0, contextBytes: 0, computeBytes: 0 };
    return { devices: shares.slice(0, -1), host };
  }
}
