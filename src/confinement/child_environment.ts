/**
 * What a process that holds a model or a template may know: where Deno's cache is, how to speak, and what GPU drivers and
 * llama.cpp are told by their users. No key, token or password of the node is among them.
 */
const NAMES = new Set([
  "PATH",
  "HOME",
  "USERPROFILE",
  "LANG",
  "TZ",
  "TMPDIR",
  "TEMP",
  "TMP",
  "SYSTEMROOT",
  "WINDIR",
  "LOCALAPPDATA",
  "NO_COLOR",
  "DENO_DIR",
  "XDG_CACHE_HOME",
  "LD_LIBRARY_PATH",
  "DYLD_LIBRARY_PATH",
  "ODIST_NATIVE_DIR",
]);
const PREFIXES =
  /^(?:LC|GGML|LLAMA|CUDA|CUBLAS|NVIDIA|VK|MESA|HIP|ROCR|HSA|GPU|ONEAPI|SYCL|ZE|MTL|OMP|KMP)_/;
/** Names that would pass by their prefix, but hold what only the node may know. */
const SECRET = /KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL/i;

/**
 * The environment of a child process: what is on the allow-list of this process's own, and `added`.
 *
 * @param own As `Deno.env.toObject()` gives it.
 */
export function childEnvironment(
  own: Readonly<Record<string, string>>,
  added: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const allowed = Object.entries(own).filter(([name]) =>
    NAMES.has(name.toUpperCase()) || (PREFIXES.test(name) && !SECRET.test(name))
  );
  return { ...Object.fromEntries(allowed), ...added };
}
