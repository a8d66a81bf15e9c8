import { errorMessage, UnavailableError } from "../../base/mod.ts";
import { MTMD_PARAMS, MTMD_SYMBOLS, RPC_SYMBOLS } from "./abi.ts";
import { libraryPath, type Llama } from "./llama.ts";

/** The libraries that no package has. `deno task natives` builds them. */
export type OwnLibrary = "ggml-rpc" | "mtmd";

/** Each by its name: "" = it is there and fits, otherwise why it doesn't serve. */
export type OwnLibraries = Readonly<Record<OwnLibrary, string>>;

/** libmtmd's functions. */
export type Mtmd = Deno.DynamicLibrary<typeof MTMD_SYMBOLS>["symbols"];

/** Opens libggml-rpc, which lets models compute on other nodes. @throws As {@link openMtmd}. */
export function openRpc(llama: Llama, folder: string) {
  const call = Deno.dlopen(wanted(folder, "ggml-rpc"), RPC_SYMBOLS).symbols;
  // The version of ggml's interface of backends stands first in what every backend registers.
  const version = firstNumber(call.ggml_backend_rpc_reg());
  const own = firstNumber(llama.base.ggml_backend_dev_backend_reg(llama.devices[0] ?? null));
  if (version !== own) throw otherLayout("ggml-rpc", `interface ${version} instead of ${own}`);
  return call;
}

/**
 * Opens libmtmd, which reads images.
 *
 * @param folder Where odist's own libraries lie; "" = there are none.
 * @throws UnavailableError `load_failed` when it is missing, or of another release than the struct layouts.
 */
export function openMtmd(folder: string): Mtmd {
  const call = Deno.dlopen(wanted(folder, "mtmd"), MTMD_SYMBOLS).symbols;
  const differences = MTMD_PARAMS.differences(call.mtmd_context_params_default());
  if (differences.length > 0) throw otherLayout("mtmd", differences.join("; "));
  return call;
}

/** Looks at each, for people who ask what is there. */
export function lookAtOwnLibraries(llama: Llama, folder: string): OwnLibraries {
  return {
    "ggml-rpc": failureOf(() => openRpc(llama, folder)),
    mtmd: failureOf(() => openMtmd(folder)),
  };
}

function failureOf(open: () => unknown): string {
  try {
    open();
    return "";
  } catch (error) {
    return errorMessage(error);
  }
}

function wanted(folder: string, name: OwnLibrary): string {
  const path = folder === "" ? undefined : libraryPath(folder, name);
  if (path !== undefined) return path;
  throw new UnavailableError(
    "load_failed",
    `There is no ${name} library: \`deno task natives\` builds it`,
  );
}

function otherLayout(name: OwnLibrary, differences: string): UnavailableError {
  return new UnavailableError(
    "load_failed",
    `Cannot drive the ${name} library, which is of another release (${differences}): ` +
      "build it anew with `deno task natives`",
  );
}

function firstNumber(struct: Deno.PointerValue): number | undefined {
  return struct === null ? undefined : new Deno.UnsafePointerView(struct).getInt32();
}
