import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lockFolder, openModelCatalog } from "./mod.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-lock-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("lockFolder() refuses a second holder and names the first", () =>
  withFolder(async (folder) => {
    const lock = await lockFolder(join(folder, "fresh"));
    await assert.rejects(lockFolder(join(folder, "fresh")), {
      code: "data_folder_locked",
      message: new RegExp(`process ${Deno.pid} uses it already`),
    });
    lock.release();
    lock.release();
    (await lockFolder(join(folder, "fresh"))).release();
  }));

Deno.test("lockFolder() gets the lock of a holder that was killed", () =>
  withFolder(async (folder) => {
    const module = fileURLToPath(import.meta.resolve("./mod.ts"));
    const script = `import { lockFolder } from ${JSON.stringify(module)};
      await lockFolder(${JSON.stringify(folder)});
      console.log("locked");
      await Deno.stdin.read(new Uint8Array(1));`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = child.stdout.getReader();
    assert.match(new TextDecoder().decode((await output.read()).value), /locked/);
    await assert.rejects(lockFolder(folder), { message: new RegExp(`process ${child.pid} `) });

    child.kill("SIGKILL");
    await child.status;
    await output.cancel();
    await child.stdin.abort().catch(() => {}); // The pipe may have gone with its reader.

    (await lockFolder(folder)).release();
  }));

Deno.test("lockFolder() names the folder it can't use", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "file"), "");
    await assert.rejects(lockFolder(join(folder, "file")), {
      code: "storage_failed",
      message: /Cannot use data folder/,
    });
  }));

Deno.test({
  name: "What a node makes for itself is closed to other users, whatever the umask",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (parent) => {
      const usual = Deno.umask(0);
      try {
        const folder = join(parent, "data");
        (await lockFolder(folder)).release();
        await openModelCatalog(join(folder, "models"));
        const modes = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
        for (const made of ["", "models", "models/blobs", "models/manifests"]) {
          assert.equal(await modes(join(folder, made)), 0o700, made);
        }
        for await (const { name, isFile } of Deno.readDir(folder)) {
          if (isFile) assert.equal(await modes(join(folder, name)), 0o600, name);
        }
      } finally {
        Deno.umask(usual);
      }
    }),
});
