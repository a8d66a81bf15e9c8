import assert from "node:assert/strict";
import { join } from "node:path";
import { tarPieces } from "./tar.ts";

Deno.test("tarPieces() writes what tar reads: names, contents and modes", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-tar-" });
  try {
    const files = [
      { path: "a", bytes: new Uint8Array(0), executable: false },
      { path: "b/c.txt", bytes: new Uint8Array(512).fill(65), executable: true },
      { path: "d", bytes: new Uint8Array(513).fill(66), executable: false },
    ];
    const archive = join(folder, "x.tar");
    for (const piece of tarPieces(files)) await Deno.writeFile(archive, piece, { append: true });
    const { success } = await new Deno.Command("tar", { args: ["-xf", archive, "-C", folder] })
      .output();
    assert.ok(success);
    for (const file of files) {
      assert.deepEqual(Deno.readFileSync(join(folder, file.path)), file.bytes);
      const { mode } = Deno.statSync(join(folder, file.path));
      assert.equal(((mode ?? 0) & 0o100) !== 0, file.executable || Deno.build.os === "windows");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tarPieces() refuses a path that its header can't hold", () => {
  const file = { path: "x".repeat(101), bytes: new Uint8Array(0), executable: false };
  assert.throws(() => [...tarPieces([file])], RangeError);
});
