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
  "ODIST_OWN_NATIVE_DIR",
]);
const PREFIXES =
  /^(?:LC|GGML|LLAMA|CUDA|CUBLAS|NVIDIA|VK|MESA|HIP|ROCR|HSA|GPU|ONEAPI|SYCL|ZE|MTL|OMP|KMP)_/;
/** Names that would pass by their prefix, but hold what only the node may know. */
const SECRET = /KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL/i;

/** What the first step of a runner needs where it must fetch the libraries from a package registry: proxies, roots, credentials. */
const FETCHING =
  /^(?:npm_.*|(?:https?|all|no)_proxy|ssl_cert_(?:file|dir)|node_extra_ca_certs|deno_(?:cert|tls_ca_store|auth_tokens))$/i;

/**
 * As {@link childEnvironment}, with what fetching takes: for the trusted first step of a process, which goes on with
 * {@link withoutFetching}.
 */
export function launchEnvironment(
  own: Readonly<Record<string, string>>,
  added: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const fetching = Object.entries(own).filter(([name]) => FETCHING.test(name));
  return { ...Object.fromEntries(fetching), ...childEnvironment(own, added) };
}

/** What is left of a launched process's environment once nothing is to be fetched any more. */
export function withoutFetching(own: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(own).filter(([name]) => !FETCHING.test(name)));
}

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
