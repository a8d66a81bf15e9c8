/** Loaded before a node: prints on SIGUSR2 which permissions its process has left, as one line of JSON on standard error. */
const NAMES = ["ffi", "read", "write", "net", "run"] as const;

Deno.addSignalListener("SIGUSR2", () => {
  const states = NAMES.map((name) => [name, Deno.permissions.querySync({ name }).state]);
  console.error(`rights ${JSON.stringify(Object.fromEntries(states))}`);
});
