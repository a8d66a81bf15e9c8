import { assert, errorMessage, UnavailableError } from "../../base/mod.ts";
import { cText, FILE_TYPES, openLlama, QUANTIZE_PARAMS } from "../llama/mod.ts";

/** Bytes of tensor rows in memory at once. llama.cpp's own 8 GiB would push loaded models out. */
const BUFFER_BYTES_MAX = 512 * 1024 * 1024;

/**
 * Rewrites a GGUF in another precision and ends the process: 0 when it is whole, else 1. llama.cpp tells its progress on
 * standard error, and the reason of a failure is its last line.
 *
 * @param words Source path, target path, target type, threads.
 */
export function quantizeFile(
  nativeFolder: string,
  words: readonly string[],
): never {
  try {
    rewrite(nativeFolder, words);
    Deno.exit(0);
  } catch (error) {
    console.error(`failed: ${errorMessage(error)}`);
    Deno.exit(1);
  }
}

function rewrite(
  nativeFolder: string,
  words: readonly string[],
): void {
  const [source = "", target = "", type = "", threads = ""] = words;
  const fileType = FILE_TYPES[type];
  const { call } = openLlama(nativeFolder);
  const params = call.llama_model_quantize_default_params();
  const differences = QUANTIZE_PARAMS.differences(params);
  assert(fileType !== undefined, "The node asks for types that there are", { type });
  if (differences.length > 0) throw failed(`the library differs: ${differences.join("; ")}`);
  QUANTIZE_PARAMS.set(params, "fileType", fileType);
  QUANTIZE_PARAMS.set(params, "threads", Number(threads));
  QUANTIZE_PARAMS.set(params, "bufferBytesMax", BUFFER_BYTES_MAX);
  const result = call.llama_model_quantize(cText(source), cText(target), params);
  if (result !== 0) throw failed(`llama.cpp answered ${result}`);
}

function failed(reason: string): UnavailableError {
  return new UnavailableError("quantize_failed", reason);
}
