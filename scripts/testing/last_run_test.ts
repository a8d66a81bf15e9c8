import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./last_run.ts", import.meta.url));

for (const [what, folder] of [["no folder", "not-there"], ["an empty folder", "."]] as const) {
  Deno.test(`test:status says what to do, and prints no stack, where runs left ${what}`, async () => {
    const parent = await Deno.makeTempDir({ prefix: "odist-runs-" });
    try {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "-A", PROGRAM, "status"],
        env: { ODIST_TEST_ARTIFACTS_DIR: `${parent}/${folder}`, NO_COLOR: "1" },
      }).output();
      assert.equal(code, 1);
      assert.match(
        new TextDecoder().decode(stderr),
        /^Error: no test run has left anything in ".*" yet: deno task test:quick\n$/,
      );
    } finally {
      await Deno.remove(parent, { recursive: true });
    }
  });
}
