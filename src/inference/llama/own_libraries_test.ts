import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../../main.ts", import.meta.url));

/** What a runner's probe says of odist's own libraries in `folder`. */
async function probe(folder: string): Promise<Readonly<Record<string, string>>> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", MAIN, "runner", "--probe"],
    env: { ODIST_OWN_NATIVE_DIR: folder },
  }).output();
  const [said, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.notEqual(said, "", errors);
  return JSON.parse(said ?? "").own;
}

Deno.test("A runner without odist's own libraries starts, and says how to get them", async () => {
  const own = await probe("/nowhere");
  assert.deepEqual(Object.keys(own), ["ggml-rpc", "mtmd"]);
  for (const reason of Object.values(own)) assert.match(reason, /^There is no .*deno task natives/);
});

Deno.test({
  name: "A library of another kind is refused before anything of it is called",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "odist-natives-" });
    try {
      const list: Record<string, string> = {};
      for (const name of ["libggml-rpc.so", "libmtmd.so"]) {
        const bytes = await Deno.readFile("/lib/" + `${Deno.build.arch}-linux-gnu/libm.so.6`);
        await Deno.writeFile(`${folder}/${name}`, bytes);
        list[name] = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      }
      await Deno.writeTextFile(`${folder}/natives.json`, JSON.stringify(list));
      for (const reason of Object.values(await probe(folder))) assert.notEqual(reason, "");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
