import { errorMessage, UnavailableError } from "../../base/mod.ts";
import { MTMD_PARAMS, MTMD_SYMBOLS, RPC_SYMBOLS } from "./abi.ts";
import { libraryPath, type Llama } from "./llama.ts";
import { cText } from "./struct.ts";

/** The libraries that no package has. `deno task natives` builds them. */
export type OwnLibrary = "ggml-rpc" | "mtmd";

/** Each by its name: "" = it is there and fits, otherwise why it doesn't serve. */
export type OwnLibraries = Readonly<Record<OwnLibrary, string>>;

/** libmtmd's functions. */
export type Mtmd = Deno.DynamicLibrary<typeof MTMD_SYMBOLS>["symbols"];

/** Where a system has `dlopen`, and its flags: functions are bound when they are called, the library is there, all may use it. */
const LOADERS: Readonly<Record<string, { readonly library: string; readonly flags: number }>> = {
  linux: { library: "libc.so.6", flags: 0x1 | 0x4 | 0x100 },
  darwin: { library: "/usr/lib/libSystem.B.dylib", flags: 0x1 | 0x10 | 0x8 },
};

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
 * Opens libmtmd, which reads images. It calls whichever libllama was loaded: that of each package has another name.
 *
 * @param folder Where odist's own libraries lie; "" = there are none.
 * @throws UnavailableError `load_failed` when it is missing, or of another release than the struct layouts.
 */
export function openMtmd(llama: Pick<Llama, "folder">, folder: string): Mtmd {
  const path = wanted(folder, "mtmd");
  offerFunctions(llama.folder);
  const call = dlopenMtmd(path);
  const differences = MTMD_PARAMS.differences(call.mtmd_context_params_default());
  if (differences.length > 0) throw otherLayout("mtmd", differences.join("; "));
  return call;
}

function dlopenMtmd(path: string): Mtmd {
  try {
    return Deno.dlopen(path, MTMD_SYMBOLS).symbols;
  } catch (error) {
    throw otherLayout("mtmd", errorMessage(error));
  }
}

/** Looks at each, for people who ask what is there. */
export function lookAtOwnLibraries(llama: Llama, folder: string): OwnLibraries {
  return {
    "ggml-rpc": failureOf(() => openRpc(llama, folder)),
    mtmd: failureOf(() => openMtmd(llama, folder)),
  };
}

/** Deno opens libraries for itself alone. On Windows a library names those whose functions it wants, whatever is loaded. */
function offerFunctions(folder: string): void {
  const loader = LOADERS[Deno.build.os];
  if (loader === undefined) return;
  const { dlopen } = Deno.dlopen(loader.library, {
    dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
  }).symbols;
  for (const name of ["ggml-base", "ggml", "llama"]) {
    const path = libraryPath(folder, name);
    if (path !== undefined && dlopen(cText(path), loader.flags) !== null) continue;
    throw new UnavailableError("load_failed", `${name} is not loaded from ${folder}`);
  }
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
