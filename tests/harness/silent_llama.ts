/**
 * Has llama.cpp in this process say nothing. Any native function that ignores its arguments does as a log callback.
 *
 * @returns One, for other libraries that log.
 */
export function silenceLlama(folder: string): Deno.PointerValue {
  const [file = ""] = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => /^(lib)?llama\./.test(name));
  const { symbols } = Deno.dlopen(`${folder}/${file}`, {
    llama_log_set: { parameters: ["pointer", "pointer"], result: "void" },
    llama_backend_free: { type: "pointer" },
  });
  symbols.llama_log_set(symbols.llama_backend_free, null);
  return symbols.llama_backend_free;
}
