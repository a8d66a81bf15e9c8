import { findOwnNativeFolder } from "../../src/inference/launch/mod.ts";

/** Why tests that need libraries of odist's own build can't run here; undefined = they can. */
export function lackingOwnNatives(): string | undefined {
  // The built program has its own, or none.
  if (Deno.env.get("ODIST_TEST_BINARY")) return "they may not be in the built program";
  return findOwnNativeFolder() === "" ? "run `deno task natives` first" : undefined;
}
