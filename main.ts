if (Deno.args[0] === "runner") {
  const { runRunner } = await import("./src/inference/runner/mod.ts");
  await runRunner(Deno.env.get("ODIST_NATIVE_DIR"));
}
