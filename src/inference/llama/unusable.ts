import { errorMessage } from "../../base/mod.ts";

/** Libraries that drive a device, by the name that llama.cpp gives its devices. */
const DRIVING: Readonly<Record<string, RegExp>> = {
  CUDA: /^(lib)?ggml-cuda\.(so|dll)$/,
  Vulkan: /^(lib)?ggml-vulkan\.(so|dll)$/,
  MTL: /^(lib)?ggml-metal\.(so|dylib)$/,
};

/** Libraries of the folder that drive none of these devices, and why: ggml passes over what it can't open without a word. */
export function findUnusable(
  folder: string,
  devices: readonly string[],
): readonly { readonly library: string; readonly reason: string }[] {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return Object.entries(DRIVING).flatMap(([prefix, pattern]) => {
    const library = files.find((name) => pattern.test(name));
    if (library === undefined || devices.some((name) => name.startsWith(prefix))) return [];
    return [{ library, reason: whyNot(`${folder}/${library}`) }];
  });
}

function whyNot(path: string): string {
  try {
    Deno.dlopen(path, {}).close();
    return "it finds no device on this machine";
  } catch (error) {
    return errorMessage(error);
  }
}
