import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const MODULE = fileURLToPath(new URL("./control_group.ts", import.meta.url));
/** Prints what is in use, thrice; between, it writes another number into the file. */
const PROGRAM = `
const { openControlGroup } = await import(${JSON.stringify(`file://${MODULE}`)});
const group = openControlGroup();
const seen = [group.useBytes(), group.useBytes()];
if (Deno.args[0] !== undefined) Deno.writeTextFileSync(Deno.args[0], "4096\\n");
console.log(JSON.stringify([...seen, group.useBytes()].map((bytes) => bytes ?? null)));
`;

/** Runs it in `folder` with `input` as the shell redirects standard input. */
async function seenWith(folder: string, input: string, args: readonly string[] = []) {
  const { stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", `"$0" run --quiet -A "$@" ${input}`, Deno.execPath(), "program.ts", ...args],
    cwd: folder,
  }).output();
  const decoder = new TextDecoder();
  assert.notEqual(stdout.length, 0, decoder.decode(stderr));
  return JSON.parse(decoder.decode(stdout));
}

Deno.test({
  name: "What a control group uses is read from standard input, as it is each time",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "odist-group-" });
    try {
      await Deno.writeTextFile(`${folder}/program.ts`, PROGRAM);
      await Deno.writeTextFile(`${folder}/use`, "1048576\n");
      assert.deepEqual(await seenWith(folder, "<use", ["use"]), [1048576, 1048576, 4096]);
      // What a user may have started it with instead.
      await Deno.writeTextFile(`${folder}/words`, "no number of bytes\n");
      for (const other of ["<words", "</dev/null", "<&-"]) {
        assert.deepEqual(await seenWith(folder, other), [null, null, null], other);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
