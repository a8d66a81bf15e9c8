import assert from "node:assert/strict";
import { Command } from "commander";
import { addConfigOptions, configFlagsOf } from "./options.ts";

function flagsOf(...args: readonly string[]) {
  const command = new Command();
  addConfigOptions(command, () => true);
  command.parse([...args], { from: "user" });
  return configFlagsOf(command);
}

Deno.test("a list may be given in pieces, and everything else once more to change one's mind", () => {
  assert.deepEqual(
    flagsOf("--advertise", "10.0.0.1", "--advertise", "[fd00::1]:7", "--join", "a,b", "--join=c"),
    { advertiseAddresses: "10.0.0.1,[fd00::1]:7", joinAddresses: "a,b,c" },
  );
  assert.deepEqual(flagsOf("--origins", "a", "--origins", "b").origins, "a,b");
  assert.deepEqual(flagsOf("--listen", "a", "--listen", "b").listenAddress, "b");
  assert.deepEqual(flagsOf(), {});
});
