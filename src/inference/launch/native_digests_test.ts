import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { checkNatives, checkOwnNatives } from "./native_digests.ts";

const MAIN = fileURLToPath(new URL("../../../main.ts", import.meta.url));

/** Another process finds the folder, because the import that downloads the package would write to this one's lock file. */
async function realFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", MAIN, "runner", "--probe"],
    stderr: "null",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).folder;
}

/** A folder with one small library of the release, and one for marks. */
async function withLibrary(
  body: (at: { folder: string; library: string; marks: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-natives-" });
  const marks = `${await Deno.makeTempDir({ prefix: "odist-natives-" })}/marks`;
  try {
    const real = await realFolder();
    const [name = ""] = [...Deno.readDirSync(real)].map((entry) => entry.name)
      .filter((file) => /^(lib)?ggml(\.metal)?\.v/.test(file));
    await Deno.copyFile(`${real}/${name}`, `${folder}/${name}`);
    await body({ folder, library: `${folder}/${name}`, marks });
  } finally {
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(`${marks}/..`, { recursive: true });
  }
}

Deno.test("checkNatives() reads the libraries of the release once", () =>
  withLibrary(async ({ folder, marks }) => {
    await checkNatives(folder, marks);
    assert.equal([...Deno.readDirSync(marks)].length, 1);
    await checkNatives(folder, marks);
    assert.equal([...Deno.readDirSync(marks)].length, 1);
  }));

Deno.test("checkNatives() refuses a library that was changed, also after it was sound", () =>
  withLibrary(async ({ folder, library, marks }) => {
    await checkNatives(folder, marks);
    const bytes = await Deno.readFile(library);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await Deno.writeFile(library, bytes);
    await assert.rejects(checkNatives(folder, marks), {
      code: "load_failed",
      message: /^Cannot trust .*: its SHA-256 is [0-9a-f]{64}, that of the release is [0-9a-f]{64}/,
    });
  }));

Deno.test("checkNatives() refuses a file that belongs to no library, which llama.cpp would open", () =>
  withLibrary(async ({ folder, marks }) => {
    await checkNatives(folder, marks);
    await Deno.writeTextFile(`${folder}/libggml-cpu-evil.so`, "code");
    await assert.rejects(checkNatives(folder, marks), {
      code: "load_failed",
      message: /no file of/,
    });
    await assert.rejects(checkNatives(folder, undefined), { code: "load_failed" });
  }));

Deno.test("checkOwnNatives() opens what was built as it was built, and nothing else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-natives-" });
  try {
    await Deno.writeTextFile(`${folder}/libmtmd.so`, "code");
    await assert.rejects(checkOwnNatives(folder, undefined), { message: /deno task natives/ });
    const digest = new Uint8Array(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode("code")),
    ).toHex();
    await Deno.writeTextFile(`${folder}/natives.json`, JSON.stringify({ "libmtmd.so": digest }));
    await checkOwnNatives(folder, undefined);
    await Deno.writeTextFile(`${folder}/libggml-rpc.so`, "code");
    await assert.rejects(checkOwnNatives(folder, undefined), { message: /no file of this name/ });
    await Deno.remove(`${folder}/libggml-rpc.so`);
    await Deno.writeTextFile(`${folder}/libmtmd.so`, "c0de");
    await assert.rejects(checkOwnNatives(folder, undefined), { code: "load_failed" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
